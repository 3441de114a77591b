// SPDX-License-Identifier: MIT
#include "mews/link.hpp"

#include <algorithm>
#include <new>

#include "core/link_root.hpp"
#include "mews/plugin.hpp"
#include "mews/stream.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

using detail::LinkCore;
using detail::Timeout;

Error empty(const char* what) noexcept {
  return Error(ErrorCode::invalid_argument, what);
}
constexpr auto kNoReply = "this pending reply is empty: it was collected or moved from";
constexpr auto kIsStream = "this request opens a stream: accept_stream it, or fail it";
constexpr auto kNoRequest = "this request is answered already, or moved from";

}  // namespace

// ---- PendingReply

struct PendingReply::Again {
  std::shared_ptr<detail::LinkRoot> root;
  CallOptions options;
  Loan kept;  ///< empty: no bytes
};

PendingReply::PendingReply() noexcept = default;
PendingReply::PendingReply(std::shared_ptr<LinkCore> core, std::uint32_t slot,
                           std::unique_ptr<Again> again) noexcept
    : core_(std::move(core)), slot_(slot), again_(std::move(again)) {}
PendingReply::PendingReply(PendingReply&& other) noexcept = default;
PendingReply& PendingReply::operator=(PendingReply&& other) noexcept {
  if (this != &other) {
    cancel();
    core_ = std::move(other.core_);
    slot_ = other.slot_;
    again_ = std::move(other.again_);
  }
  return *this;
}
PendingReply::~PendingReply() {
  cancel();
}

Result<Message> PendingReply::get(const std::stop_token& stop) {
  if (!core_) return tl::unexpected(empty(kNoReply));
  auto core = core_->is_own() ? std::move(core_) : core_;
  const auto until = core->until({core->deadline_of(slot_), stop});
  auto reply = core->get(slot_, until);
  const auto again = std::move(again_);
  if (!reply && again && again->root->follow(core, again->options, until, reply.error())) {
    return again->root->call(std::as_const(again->kept).bytes(), again->options, until);
  }
  return reply;
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
  again_.reset();
}

// ---- Request

Request::Request(std::shared_ptr<LinkCore> core, detail::TakenCall&& call) noexcept
    : core_(std::move(core)),
      slot_(call.slot),
      is_stream_(call.is_stream),
      message_(std::move(call.message)),
      lent_(std::move(call.lent)),
      deadline_(call.deadline) {}
Request::Request(Request&& other) noexcept = default;
Request& Request::operator=(Request&& other) noexcept {
  if (this != &other) {
    drop();
    core_ = std::move(other.core_);
    slot_ = other.slot_;
    is_stream_ = other.is_stream_;
    message_ = std::move(other.message_);
    lent_ = std::move(other.lent_);
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
  let_go();
}

void Request::let_go() noexcept {
  core_.reset();
  lent_ = Message();
}

bool Request::is_cancelled() {
  return !core_ || deadline_.has_passed() || core_->is_cancelled(slot_);
}
std::stop_token Request::stop_token() {
  return core_ ? core_->stop_token(slot_) : std::stop_token();
}
Result<Loan> Request::loan_by(std::size_t bytes, const Timeout& timeout) {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  Result<Loan> loan;
  if (lent_.size() >= bytes && bytes > layout::kMaxInlineBytes) {
    loan = std::move(lent_).into_loan();
    loan->shrink(bytes);
  } else {
    core_->channel().loan_for_reply(loan, bytes, timeout);
  }
  return loan;
}
Result<Loan> Request::loan(std::size_t bytes) {
  return loan_by(bytes, Timeout(deadline_));
}
Result<Loan> Request::try_loan(std::size_t bytes) {
  return loan_by(bytes, Timeout::none());
}
Result<void> Request::reply(Body body, std::uint32_t type) {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  if (is_stream_) return tl::unexpected(empty(kIsStream));
  if (body.loan() == nullptr && body.bytes().size() > layout::kMaxInlineBytes &&
      lent_.size() >= body.bytes().size()) {
    auto loan = loan_by(body.bytes().size(), Timeout::none());
    std::copy(body.bytes().begin(), body.bytes().end(), loan->bytes().begin());
    return reply(std::move(*loan), type);
  }
  auto sent = core_->reply(slot_, body, type, deadline_);
  if (sent) let_go();
  return sent;
}
Result<void> Request::fail(ErrorCode code, std::string_view text) {
  if (!core_) return tl::unexpected(empty(kNoRequest));
  auto sent = core_->fail_call(slot_, code, text);
  if (sent) let_go();
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

Result<Link> Link::over(Channel&& channel, LinkOptions options) {
  auto& core = channel.core_;
  if (!core) return tl::unexpected(Channel::refusal());
  auto made = detail::link_over(core, options);
  if (!made) return tl::unexpected(std::move(made.error()));
  core.reset();
  return Link(std::move(*made));
}

Result<Link> Link::over(Plugin& plugin, LinkOptions options) try {
  auto& core = plugin.channel().core_;
  if (!core) return tl::unexpected(Channel::refusal());
  auto made = detail::link_over(core, options);
  if (!made) return tl::unexpected(std::move(made.error()));
  Link link(nullptr);
  link.root_ =
      std::make_shared<detail::LinkRoot>(detail::LinkRoot::Source{plugin.core_, plugin.process_},
                                         std::move(options), std::move(*made));
  core.reset();
  return link;
} catch (const std::bad_alloc&) {
  return mews::fail(ErrorCode::out_of_memory);
}

// A link that follows its plugin may go on to the next process meanwhile.
template <class Use>
auto Link::with_core(Use&& use) const {
  if (!root_) return use(core_);
  const auto core = root_->current();
  return use(core);
}

Timeout Link::usual() const noexcept {
  if (latest_.is_forever()) return Timeout::usual();
  auto until = core_->until(Timeout::usual());
  until.deadline = std::min(until.deadline.at(), latest_.at());
  return Timeout::of(until);
}

Result<Loan> Link::loan_by(std::size_t bytes, const Timeout& timeout) {
  return with_core([&](const auto& core) -> Result<Loan> {
    if (!core) return tl::unexpected(refusal());
    Result<Loan> loan;
    core->channel().loan(loan, bytes, timeout);
    return loan;
  });
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
  if (root_) return root_->call(body, options, root_->current()->until(timeout));
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
                                    const Timeout& timeout, bool waits) try {
  const auto begin = [&](const std::shared_ptr<LinkCore>& core, const detail::Until& until) {
    return core->start(body, options, until,
                       waits ? LinkCore::MayWait::yes : LinkCore::MayWait::no);
  };
  if (!root_) {
    if (!core_) return tl::unexpected(refusal());
    auto slot = begin(core_, core_->until(timeout));
    if (!slot) return tl::unexpected(std::move(slot.error()));
    return PendingReply(core_, *slot, nullptr);
  }
  auto core = root_->current();
  const auto until = core->until(timeout);
  std::unique_ptr<PendingReply::Again> again;
  if (options.retry != Retry::never) {
    again = std::make_unique<PendingReply::Again>(PendingReply::Again{root_, options, {}});
    const auto bytes = body.loan() != nullptr ? std::as_const(*body.loan()).bytes() : body.bytes();
    auto kept =
        core->loan_of(bytes, mem::Purpose::ordinary, waits ? Timeout::of(until) : Timeout::none());
    if (!kept) return tl::unexpected(std::move(kept.error()));
    again->kept = std::move(*kept);
  }
  for (;;) {
    auto slot = begin(core, until);
    if (slot) return PendingReply(std::move(core), *slot, std::move(again));
    auto& why = slot.error();
    const bool can_follow = waits && why.code() == ErrorCode::peer_died;
    if (!can_follow || !root_->go_on(core, until, why)) return tl::unexpected(std::move(why));
  }
} catch (const std::bad_alloc&) {
  return mews::fail(ErrorCode::out_of_memory);
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
  const auto accept_on = [](const std::shared_ptr<LinkCore>& core,
                            const Timeout& patience) -> Result<Request> {
    auto taken = core->accept(patience);
    if (!taken) return tl::unexpected(std::move(taken.error()));
    return Request(core, std::move(*taken));
  };
  if (!root_) return core_ ? accept_on(core_, timeout) : tl::unexpected(refusal());
  auto core = root_->current();
  if (!timeout.may_wait()) return accept_on(core, timeout);
  // One deadline for all processes.
  const auto until = core->until(timeout);
  for (;;) {
    auto request = accept_on(core, Timeout::of(until));
    if (request) return request;
    auto& why = request.error();
    const bool can_follow = why.code() == ErrorCode::peer_died;
    if (!can_follow || !root_->go_on(core, until, why)) return request;
  }
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

// A stream that finds the process dead is opened on the next one.
Result<Stream> Link::open_by(const Body& body, const CallOptions& options,
                             const Timeout& timeout) try {
  const auto may_wait = timeout.may_wait() ? LinkCore::MayWait::yes : LinkCore::MayWait::no;
  auto core = root_ ? root_->current() : core_;
  if (!core) return tl::unexpected(refusal());
  const auto until = core->until(timeout);
  for (;;) {
    auto end = core->open(body, options, until, may_wait);
    if (end) return Stream(std::move(core), std::move(*end));
    auto& why = end.error();
    const bool can_follow = root_ && timeout.may_wait() && why.code() == ErrorCode::peer_died;
    if (!can_follow || !root_->go_on(core, until, why)) return tl::unexpected(std::move(why));
  }
} catch (const std::bad_alloc&) {
  return mews::fail(ErrorCode::out_of_memory);
}
Result<Stream> Link::open(Body body, CallOptions options) {
  return open_by(body, options, usual());
}
Result<Stream> Link::open(Body body, CallOptions options, Deadline deadline,
                          const std::stop_token& stop) {
  return open_by(body, options, {deadline, stop});
}
Result<Stream> Link::try_open(Body body, CallOptions options) {
  return open_by(body, options, Timeout::none());
}

// `handle`, like the functions that `dispatch` runs, may drop this link.
Result<void> Link::serve(base::FunctionRef<void(Request&)> handle, Deadline deadline,
                         const std::stop_token& stop) {
  Link self(*this);
  for (;;) {
    auto request = self.accept(deadline, stop);
    if (request) {
      handle(*request);
      continue;
    }
    if (request.error().code() == ErrorCode::closed) return {};
    return tl::unexpected(std::move(request.error()));
  }
}

Result<bool> Link::dispatch() try {
  const auto core = root_ ? root_->current() : core_;
  if (!core) return tl::unexpected(refusal());
  return core->dispatch();
} catch (const std::bad_alloc&) {
  return mews::fail(ErrorCode::out_of_memory);
}
int Link::event_fd() const noexcept {
  return with_core([](const auto& core) { return core ? core->event_fd() : -1; });
}
Result<bool> Link::arm_event() {
  return with_core([](const auto& core) -> Result<bool> {
    if (!core) return tl::unexpected(refusal());
    return core->arm_event();
  });
}
Result<void> Link::renew(Deadline deadline, const std::stop_token& stop) {
  if (!root_) return mews::fail(ErrorCode::invalid_argument, "this link follows no plugin");
  const auto core = root_->current();
  if (!core->is_dead()) (void)core->dispatch();
  if (!core->is_dead()) return {};
  auto next = root_->after(core, core->until({deadline, stop}));
  if (!next) return tl::unexpected(std::move(next.error()));
  return {};
}
std::uint32_t Link::credits() const noexcept {
  return with_core([](const auto& core) { return core ? core->credits() : 0; });
}
std::uint32_t Link::open_calls() const noexcept {
  return with_core([](const auto& core) { return core ? core->open_calls() : 0; });
}

}  // namespace mews::inline MEWS_LAYOUT
