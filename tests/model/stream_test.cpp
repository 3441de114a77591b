// SPDX-License-Identifier: MIT
#include <optional>
#include <string>

#include "core/link_core.hpp"
#include "model/process.hpp"
#include "model/support.hpp"

namespace mews::model {
namespace {

using detail::LinkCore;
using detail::StreamEnd;
using detail::Timeout;

constexpr auto kCutOff = "a link ends though all is well";

struct StreamPlan {
  int pieces = 1;            ///< that the host sends in each stream
  int streams = 1;           ///< one after the other, in one slot
  bool drops_first = false;  ///< the host drops the first stream in the middle
  bool two_threads = false;  ///< of the host: one sends, one receives
  bool other_drops = false;  ///< the plugin drops the stream in the middle
  bool other_first = false;  ///< the plugin finishes at once, and sends nothing back
  bool may_crash = false;    ///< the plugin
};

// The host opens a stream, sends its pieces and finishes; the plugin sends each back, and finishes
// behind the last. The plugin may be killed anywhere. All pieces arrive, once and in order, or the
// stream ends with an error; and the slot serves the next stream.
class Streams final : public Scenario {
 public:
  explicit Streams(const StreamPlan& plan) : plan_(plan) {
    words_.add_object("host.link", host_link_);
    words_.add_object("plugin.link", plugin_link_);
    threads_.push_back({.name = "opener", .process = kHost, .body = [this] { talk(); }});
    if (plan.two_threads) {
      threads_.push_back({.name = "caller", .process = kHost, .body = [this] {
                            (void)host_link_->call(Body("c"), {}, Timeout(forever));
                            end_if_last();
                          }});
    }
    threads_.push_back({.name = "plugin",
                        .process = kPlugin,
                        .body = [this] { serve(); },
                        .may_crash = plan.may_crash,
                        .stays = true});
    threads_.push_back({.name = "watcher",
                        .process = kHost,
                        .body = [this] { host_.on_death(); },
                        .recovers = kPlugin});
  }

  void reset() override {
    host_link_.reset();
    plugin_link_.reset();
    tiny_.reset();
    host_.reset();
    plugin_.reset();
    const std::uint32_t credits = plan_.two_threads ? 2 : 1;
    const layout::LinkLimits limits{.calls = credits, .streams = 1};
    host_link_.emplace(alias(host_), LinkOptions{.credits = credits}, limits);
    plugin_link_.emplace(alias(plugin_), LinkOptions{.credits = 1}, limits);
    host_.channel().become_link();
    plugin_.channel().become_link();
    left_ = plan_.two_threads ? 2 : 1;
    ended_ = 0;
  }
  void verify() override {
    expect(ended_ == plan_.streams, "a stream has not exactly one end");
    tiny_.expect_sound();
  }

 private:
  static std::shared_ptr<detail::ChannelCore> alias(Process& process) {
    return {std::shared_ptr<void>(), &process.channel()};
  }

  void end_if_last() {
    if (--left_ == 0) (void)host_.channel().close();
  }

  void talk() {
    for (int i = 0; i < plan_.streams; ++i) {
      auto end = host_link_->open(Body(), {}, {.deadline = forever}, LinkCore::MayWait::yes);
      if (!end) {
        expect(is_dead(kPlugin) && end.error().code() == ErrorCode::peer_died,
               "a stream cannot be opened though all is well");
      } else {
        talk_in(**end, plan_.drops_first && i == 0);
        host_link_->drop(**end);
      }
      ++ended_;
    }
    end_if_last();
  }

  // Whatever fails, fails by the plugin's doing.
  void judge(const Error& why) {
    const auto code = why.code();
    expect((is_dead(kPlugin) && code == ErrorCode::peer_died) ||
               (plan_.other_drops && code == ErrorCode::reset),
           "a stream fails though all is well");
  }

  void talk_in(StreamEnd& end, bool is_dropped) {
    for (int i = 0; i < plan_.pieces; ++i) {
      if (auto sent = host_link_->send_piece(end, Body(std::to_string(i)), Timeout(forever));
          !sent) {
        return judge(sent.error());
      }
      if (is_dropped) return;
    }
    if (auto finished = host_link_->finish(end); !finished) return judge(finished.error());
    for (int i = 0;; ++i) {
      const auto back = host_link_->receive_piece(end, Timeout(forever));
      if (!back) return judge(back.error());
      if (back->size() == 0) {
        expect(i == (plan_.other_first ? 0 : plan_.pieces), "a piece is lost");
        break;
      }
      expect(back->text() == std::to_string(i), "a piece comes twice, or behind another");
    }
    const auto over = host_link_->wait_stream(end, end.is_over, Timeout(forever));
    expect(over.has_value(), "a stream does not end");
  }

  void serve() {
    for (;;) {
      auto request = plugin_link_->accept(Timeout(forever));
      if (!request) {
        expect(request.error().code() == ErrorCode::closed, kCutOff);
        return;
      }
      if (!request->is_stream) {
        (void)plugin_link_->reply(request->slot, Body("r"), 0, forever);
        continue;
      }
      auto end = plugin_link_->accept_stream(request->slot, 0);
      expect(end.has_value(), kCutOff);
      serve_in(**end);
      plugin_link_->drop(**end);
    }
  }

  void serve_in(StreamEnd& end) {
    if (plan_.other_first) expect(plugin_link_->finish(end).has_value(), kCutOff);
    for (;;) {
      auto piece = plugin_link_->receive_piece(end, Timeout(forever));
      if (!piece) {
        expect(piece.error().code() == ErrorCode::reset && plan_.drops_first, kCutOff);
        return;
      }
      if (piece->size() == 0) break;
      if (plan_.other_drops) return;
      if (plan_.other_first) continue;
      const std::string text(piece->text());
      const auto sent = plugin_link_->send_piece(end, Body(text), Timeout(forever));
      if (!sent) {
        expect(sent.error().code() == ErrorCode::reset && plan_.drops_first, kCutOff);
        return;
      }
    }
    const auto finished = plugin_link_->finish(end);
    expect(finished || plan_.drops_first, kCutOff);
  }

  StreamPlan plan_;
  TinyArena tiny_{{.slabs = 2, .chunk_slabs = 1}, words_};
  Process host_{tiny_, words_, kHost, kPlugin};
  Process plugin_{tiny_, words_, kPlugin, kPlugin};
  std::optional<LinkCore> host_link_;
  std::optional<LinkCore> plugin_link_;
  int left_ = 0;  ///< threads of the host
  int ended_ = 0;
};

}  // namespace

TEST_CASE("stream: all pieces arrive in order, and the stream ends") {
  Streams one({});
  require_holds("stream, one piece", one, {.most_preemptions = 2});
  Streams two({.streams = 2});
  require_holds("stream, two", two, {.preemptions = 1, .most_preemptions = 2});
}

TEST_CASE("stream: a sender that waits for a confirmation gets it") {
  Streams seven({.pieces = 7});
  require_holds("stream, seven pieces", seven, {.preemptions = 1, .most_preemptions = 1});
}

TEST_CASE("stream: it ends when the other process dies, wherever that is") {
  Streams dying({.may_crash = true});
  require_holds("stream, dying", dying, {.preemptions = 1, .most_preemptions = 2, .crashes = 1});
}

TEST_CASE("stream: one that is dropped in the middle frees its slot for the next") {
  Streams dropped({.pieces = 2, .streams = 2, .drops_first = true});
  require_holds("stream, dropped", dropped, {.preemptions = 1, .most_preemptions = 2});
  Streams by_other({.pieces = 2, .streams = 2, .other_drops = true});
  require_holds("stream, dropped there", by_other, {.preemptions = 1, .most_preemptions = 2});
}

TEST_CASE("stream: a call beside it has its reply, whoever leads") {
  Streams beside({.two_threads = true});
  require_holds("stream and call", beside, {.preemptions = 1, .most_preemptions = 2});
  Streams first({.two_threads = true, .other_first = true});
  require_holds("stream and call", first, {.preemptions = 1, .most_preemptions = 2});
}

TEST_CASE("stream: a reader that does not confirm is found", "[.][no_confirmation]") {
  Streams seven({.pieces = 7});
  require_found("no confirmation", seven, {}, "opener sleeps for ever on to_host.data_bell");
}

TEST_CASE("stream: a place that is not given back is found", "[.][place_not_given_back]") {
  Streams dropped({.pieces = 2, .streams = 2, .drops_first = true});
  require_found("place not given back", dropped, {}, "opener sleeps for ever on to_host.data_bell");
}

}  // namespace mews::model
