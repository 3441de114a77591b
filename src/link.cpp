// SPDX-License-Identifier: MIT
#include "mews/link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "core/link_core.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

using detail::LinkCore;
using detail::Timeout;

Error empty(const char* what) noexcept {
  return Error(ErrorCode::invalid_argument, what);
}
constexpr auto kNoReply = "this pending reply is empty: it was collected or moved from";
constexpr auto kNoRequest = "this request is answered already, or moved from";

}  // namespace

// ---- PendingReply

PendingReply::PendingReply(std::shared_ptr<LinkCore> core, std::uint32_t slot) noexcept
    : core_(std::move(core)), slot_(slot) {}
PendingReply::PendingReply(PendingReply&& other) noexcept = default;
PendingReply& PendingReply::operator=(PendingReply&& other) noexcept {
  if (this != &other) {
    cancel();
    core_ = std::move(other.core_);
    slot_ = other.slot_;
  }
  return *this;
}
PendingReply::~PendingReply() {
  cancel();
}

Result<Message> PendingReply::get(const std::stop_token& stop) {
  if (!core_) return tl::unexpected(empty(kNoReply));
  const auto core = core_->is_own() ? std::move(core_) : core_;
  return core->get(slot_, core->until({core->deadline_of(slot_), stop}));
}
bool PendingReply::is_ready() {
  return core_ && core_->is_ready(slot_);
}
Result<void> PendingReply::wait(Deadline deadline, const std::stop_token& stop) {
  if (!core_) return tl::unexpected(empty(kNoReply));
  return core_->wait_settled(slot_, {deadline, stop});
}
bool PendingReply::on_ready(std::function<void()> done) {
  return core_ && core_->on_ready(slot_, std::move(done));
}
void PendingReply::cancel() noexcept {
  if (!core_) return;
  core_->cancel(slot_);
  core_.reset();
}

// ---- Request

Request::Request(std::shared_ptr<LinkCore> core, std::uint32_t slot, Message message,
                 Deadline deadline) noexcept
    : core_(std::move(core)), slot_(slot), message_(std::move(message)), deadline_(deadline) {}
Request::Request(Request&& other) noexcept = default;
Request& Request::operator=(Request&& other) noexcept {
  if (this != &other) {
    drop();
    core_ = std::move(other.core_);
    slot_ = other.slot_;
    message_ = std::move(other.message_);
    deadline_ = other.deadline_;
  }
  return *this;
}
Request::~Request() {
  drop();
}

void Request::drop() noexcept {
  if (!core_) return;
  if (core_->is_own()) (void)core_->fail_call(slot_, ErrorCode::unanswered, {});
  core_.reset();
}

bool Request::is_cancelled() {
  return !core_ || deadline_.has_passed() || core_->is_cancelled(slot_);
}
std::stop_token Request::stop_token() {
  return core_ ? core_->stop_token(slot_) : std::stop_token();
}
Result<Loan> Request::loan(std::size_t bytes) {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  Result<Loan> loan;
  core_->channel().loan_for_reply(loan, bytes, Timeout(deadline_));
  return loan;
}
Result<Loan> Request::try_loan(std::size_t bytes) {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  Result<Loan> loan;
  core_->channel().loan_for_reply(loan, bytes, Timeout::none());
  return loan;
}
Result<void> Request::reply(Body body, std::uint32_t type) {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  auto sent = core_->reply(slot_, body, type, deadline_);
  if (sent) core_.reset();
  return sent;
}
Result<void> Request::fail(ErrorCode code, std::string_view text) {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  auto sent = core_->fail_call(slot_, code, text);
  if (sent) core_.reset();
  return sent;
}
Result<Link> Request::link() const {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  Link link(core_);
  link.latest_ = deadline_;
  return link;
}

// ---- Link

Link::Link(std::shared_ptr<LinkCore> core) noexcept : core_(std::move(core)) {}

Error Link::refusal() noexcept {
  return empty("this link is empty: it was moved from");
}

Result<Link> Link::over(Channel&& channel, LinkOptions options) try {
  auto& core = channel.core_;
  if (!core) return tl::unexpected(Channel::refusal());
  if (!core->session().is_own()) return mews::fail(ErrorCode::wrong_process);
  if (core->is_link()) return mews::fail(ErrorCode::already_exists, "this channel has a link");
  if (options.credits == 0) {
    return mews::fail(ErrorCode::invalid_argument, "credits is 0: no call could be started");
  }
  const auto ring_cells = core->session().arena().geometry().ring_cells;
  const auto most = layout::most_calls(ring_cells);
  if (most == 0) {
    return mews::fail(ErrorCode::invalid_argument, detail_text([&] {
                        return fmt::format(
                            "ring_cells is {}: a link needs 64 or more, see CreateOptions",
                            ring_cells);
                      }));
  }
  auto made = std::make_shared<LinkCore>(core, std::move(options), most);
  core->become_link();
  core.reset();
  return Link(std::move(made));
} catch (const std::bad_alloc&) {
  return mews::fail(ErrorCode::out_of_memory);
}

Timeout Link::usual() const noexcept {
  if (!core_ || latest_.is_forever()) return Timeout::usual();
  auto until = core_->until(Timeout::usual());
  until.deadline = std::min(until.deadline.at(), latest_.at());
  return Timeout::of(until);
}

Result<Loan> Link::loan_by(std::size_t bytes, const Timeout& timeout) {
  if (!core_) return tl::unexpected(refusal());
  Result<Loan> loan;
  core_->channel().loan(loan, bytes, timeout);
  return loan;
}
Result<Loan> Link::loan(std::size_t bytes) {
  return loan_by(bytes, usual());
}
Result<Loan> Link::loan(std::size_t bytes, Deadline deadline, const std::stop_token& stop) {
  return loan_by(bytes, {deadline, stop});
}
Result<Loan> Link::try_loan(std::size_t bytes) {
  return loan_by(bytes, Timeout::none());
}

Result<Message> Link::call_by(const Body& body, const CallOptions& options,
                              const Timeout& timeout) {
  if (!core_) return tl::unexpected(refusal());
  return core_->call(body, options, timeout);
}
Result<Message> Link::call(Body body, CallOptions options) {
  return call_by(body, options, usual());
}
Result<Message> Link::call(Body body, CallOptions options, Deadline deadline,
                           const std::stop_token& stop) {
  return call_by(body, options, {deadline, stop});
}

Result<PendingReply> Link::start_by(const Body& body, const CallOptions& options,
                                    const Timeout& timeout, bool waits) {
  if (!core_) return tl::unexpected(refusal());
  auto slot = core_->start(body, options, core_->until(timeout),
                           waits ? LinkCore::MayWait::yes : LinkCore::MayWait::no);
  if (!slot) return tl::unexpected(std::move(slot.error()));
  return PendingReply(core_, *slot);
}
Result<PendingReply> Link::start(Body body, CallOptions options) {
  return start_by(body, options, usual(), true);
}
Result<PendingReply> Link::start(Body body, CallOptions options, Deadline deadline,
                                 const std::stop_token& stop) {
  return start_by(body, options, {deadline, stop}, true);
}
Result<PendingReply> Link::try_start(Body body, CallOptions options, Deadline deadline) {
  return start_by(body, options, {deadline}, false);
}

Result<Request> Link::accept_by(const Timeout& timeout) {
  if (!core_) return tl::unexpected(refusal());
  auto taken = core_->accept(timeout);
  if (!taken) return tl::unexpected(std::move(taken.error()));
  return Request(core_, taken->slot, std::move(taken->message), taken->deadline);
}
Result<Request> Link::accept() {
  return accept_by(Timeout::usual());
}
Result<Request> Link::accept(Deadline deadline, const std::stop_token& stop) {
  return accept_by({deadline, stop});
}
Result<Request> Link::try_accept() {
  return accept_by(Timeout::none());
}

Result<void> Link::serve(base::FunctionRef<void(Request&)> handle, Deadline deadline,
                         const std::stop_token& stop) {
  for (;;) {
    auto request = accept(deadline, stop);
    if (request) {
      handle(*request);
      continue;
    }
    if (request.error().code() == ErrorCode::closed) return {};
    return tl::unexpected(std::move(request.error()));
  }
}

Result<bool> Link::dispatch() try {
  if (!core_) return tl::unexpected(refusal());
  return core_->dispatch();
} catch (const std::bad_alloc&) {
  return mews::fail(ErrorCode::out_of_memory);
}
int Link::event_fd() const noexcept {
  return core_ ? core_->event_fd() : -1;
}
Result<bool> Link::arm_event() {
  if (!core_) return tl::unexpected(refusal());
  return core_->arm_event();
}
std::uint32_t Link::credits() const noexcept {
  return core_ ? core_->credits() : 0;
}
std::uint32_t Link::open_calls() const noexcept {
  return core_ ? core_->open_calls() : 0;
}

}  // namespace mews::inline MEWS_LAYOUT
