// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "model/checker.hpp"
#include "model/execution.hpp"

namespace mews::model {
namespace {

/// Depth first: takes the decisions of the run before, up to the last that has another way left.
class DepthFirst final : public Chooser {
 public:
  std::size_t choose(std::span<const Option> options) override {
    if (options.size() == 1) return 0;
    if (depth_ == path_.size()) path_.push_back({0, options.size()});
    return path_[depth_++].taken;
  }
  [[nodiscard]] bool takes_all_steps() const override { return false; }

  /// Goes on to the next schedule; false when there is none.
  bool advance() {
    while (!path_.empty() && path_.back().taken + 1 == path_.back().ways)
      path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().taken;
    depth_ = 0;
    return true;
  }

 private:
  struct Decision {
    std::size_t taken;
    std::size_t ways;
  };
  std::vector<Decision> path_;
  std::size_t depth_ = 0;
};

/// Takes given decisions as long as they can be taken, then never preempts.
class Given final : public Chooser {
 public:
  explicit Given(std::vector<Option> decisions) : decisions_(std::move(decisions)) {}

  std::size_t choose(std::span<const Option> options) override {
    if (depth_ >= decisions_.size()) return 0;
    const auto found = std::find(options.begin(), options.end(), decisions_[depth_++]);
    return found == options.end() ? 0 : static_cast<std::size_t>(found - options.begin());
  }
  [[nodiscard]] bool takes_all_steps() const override { return true; }

 private:
  std::vector<Option> decisions_;
  std::size_t depth_ = 0;
};

std::string written(const Scenario& scenario, std::span<const Option> decisions) {
  std::string text;
  for (std::size_t i = 0; i < decisions.size();) {
    const auto begin = i;
    while (i < decisions.size() && decisions[i] == decisions[begin]) {
      if (decisions[i++].kind != Option::Kind::run) break;
    }
    if (begin > 0) text += ' ';
    text += scenario.threads()[static_cast<std::size_t>(decisions[begin].thread)].name;
    switch (decisions[begin].kind) {
      case Option::Kind::run:
        text += ':' + std::to_string(i - begin);
        break;
      case Option::Kind::crash:
        text += '!';
        break;
      case Option::Kind::drain:
        text += '~';
        break;
    }
  }
  return text;
}

std::vector<Option> read(const Scenario& scenario, const std::string& schedule) {
  std::vector<Option> decisions;
  std::istringstream words(schedule);
  for (std::string word; words >> word;) {
    const auto mark = word.find_first_of(":!~");
    const auto name = word.substr(0, mark);
    Option option;
    for (const auto& thread : scenario.threads()) {
      if (thread.name == name) break;
      ++option.thread;
    }
    unsigned long count = 1;
    if (mark != std::string::npos) {
      if (word[mark] == '!') option.kind = Option::Kind::crash;
      if (word[mark] == '~') option.kind = Option::Kind::drain;
      if (word[mark] == ':') count = std::strtoul(word.c_str() + mark + 1, nullptr, 10);
    }
    decisions.insert(decisions.end(), count, option);
  }
  return decisions;
}

}  // namespace

Report replay(Scenario& scenario, const Bounds& bounds, const std::string& schedule) {
  Execution execution(scenario, bounds);
  Given given(read(scenario, schedule));
  Report report;
  constexpr int kAny = 1'000'000;
  execution.run(given, kAny, &report.trace);
  report.is_ok = execution.violation().empty();
  report.violation = execution.violation();
  report.schedule = written(scenario, execution.decisions());
  report.depth = execution.decisions().size();
  report.schedules = {1};
  return report;
}

Report explore(Scenario& scenario, const Bounds& bounds) {
  // To look at one schedule with a debugger: the one that a failed test has printed.
  if (const char* given = std::getenv("MEWS_MODEL_SCHEDULE"); given != nullptr && *given != 0) {
    return replay(scenario, bounds, given);
  }
  Report report;
  {
    Execution execution(scenario, bounds);
    for (int bound = 0; bound <= bounds.preemptions && report.is_ok; ++bound) {
      DepthFirst chooser;
      report.schedules.push_back(0);
      for (bool is_any_left = true; is_any_left;) {
        const bool has_learnt = execution.run(chooser, bound, nullptr);
        ++report.schedules.back();
        report.depth = std::max(report.depth, execution.decisions().size());
        report.is_ok = execution.violation().empty();
        is_any_left = report.is_ok && (has_learnt || chooser.advance());
        if (has_learnt && is_any_left) {
          chooser = {};
          report.schedules.back() = 0;
        }
      }
    }
    if (report.is_ok) return report;
    report.violation = execution.violation();
    report.schedule = written(scenario, execution.decisions());
  }
  report.trace = replay(scenario, bounds, report.schedule).trace;
  return report;
}

std::string Report::summary() const {
  std::ostringstream text;
  text << (is_ok ? "holds" : "violated") << ": schedules per preemption bound";
  for (std::size_t i = 0; i < schedules.size(); ++i)
    text << ' ' << i << ": " << schedules[i] << ',';
  text << " depth " << depth;
  if (!is_ok) {
    text << "\n" << violation << "\nMEWS_MODEL_SCHEDULE='" << schedule << "'\n" << trace;
  }
  return text.str();
}

void expect(bool condition, const char* sentence) {
  if (!condition) Execution::current()->fail(sentence);
}

void point(const char* what) {
  auto* execution = Execution::current();
  if (execution->is_in_thread()) execution->before(Op::point, nullptr, 0, what);
}

void pass_deadlines() {
  Execution::current()->pass_deadlines();
}

void wake_for_no_reason() {
  Execution::current()->wake_for_no_reason();
}

void act_as(int thread) {
  Execution::current()->act_as(thread);
}

bool is_dead(int process) {
  return Execution::current()->is_dead(process);
}

}  // namespace mews::model
