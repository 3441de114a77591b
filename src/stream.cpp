// SPDX-License-Identifier: MIT
#include "mews/stream.hpp"

#include <utility>

#include "core/link_core.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

using detail::Timeout;

Error empty() noexcept {
  return Error(ErrorCode::invalid_argument, "this stream is empty: it was moved from");
}

}  // namespace

Stream::Stream() noexcept = default;
Stream::Stream(std::shared_ptr<detail::LinkCore> core,
               std::shared_ptr<detail::StreamEnd> end) noexcept
    : core_(std::move(core)), end_(std::move(end)) {}
Stream::Stream(Stream&& other) noexcept = default;
Stream& Stream::operator=(Stream&& other) noexcept {
  // By the destructor.
  const Stream former(std::move(*this));
  core_ = std::move(other.core_);
  end_ = std::move(other.end_);
  return *this;
}
Stream::~Stream() {
  if (core_) core_->drop(*end_);
}

Result<Loan> Stream::loan_by(std::size_t bytes, const Timeout& timeout) {
  if (!core_) return tl::unexpected(empty());
  Result<Loan> loan;
  core_->loan_piece(loan, bytes, timeout);
  return loan;
}
Result<Loan> Stream::loan(std::size_t bytes) {
  return loan_by(bytes, Timeout::usual());
}
Result<Loan> Stream::loan(std::size_t bytes, Deadline deadline, const std::stop_token& stop) {
  return loan_by(bytes, {deadline, stop});
}
Result<Loan> Stream::try_loan(std::size_t bytes) {
  return loan_by(bytes, Timeout::none());
}

Result<void> Stream::send_by(const Body& piece, const Timeout& timeout) {
  if (!core_) return tl::unexpected(empty());
  return core_->send_piece(*end_, piece, timeout);
}
Result<void> Stream::send(Body piece) {
  return send_by(piece, Timeout::usual());
}
Result<void> Stream::send(Body piece, Deadline deadline, const std::stop_token& stop) {
  return send_by(piece, {deadline, stop});
}
Result<void> Stream::try_send(Body piece) {
  return send_by(piece, Timeout::none());
}
Result<void> Stream::finish() {
  if (!core_) return tl::unexpected(empty());
  return core_->finish(*end_);
}

Result<Message> Stream::receive_by(const Timeout& timeout) {
  if (!core_) return tl::unexpected(empty());
  return core_->receive_piece(*end_, timeout);
}
Result<Message> Stream::receive() {
  return receive_by(Timeout::usual());
}
Result<Message> Stream::receive(Deadline deadline, const std::stop_token& stop) {
  return receive_by({deadline, stop});
}
Result<Message> Stream::try_receive() {
  return receive_by(Timeout::none());
}

void Stream::reset(ErrorCode code) noexcept {
  if (core_) core_->reset(*end_, code);
}
Result<void> Stream::wait_accepted(Deadline deadline, const std::stop_token& stop) {
  if (!core_) return tl::unexpected(empty());
  auto waited = core_->wait_stream(*end_, end_->is_decided, {deadline, stop});
  return waited ? end_->refusal() : waited;
}
Result<void> Stream::wait_over(Deadline deadline, const std::stop_token& stop) {
  if (!core_) return tl::unexpected(empty());
  auto waited = core_->wait_stream(*end_, end_->is_over, {deadline, stop});
  return waited ? end_->failure() : waited;
}

bool Stream::on_readable(std::function<void()> done) {
  return core_ && core_->watch(end_->on_readable, end_->is_readable, std::move(done));
}
bool Stream::on_writable(std::function<void()> done) {
  return core_ && core_->watch(end_->on_writable, end_->is_writable, std::move(done));
}
bool Stream::on_over(std::function<void()> done) {
  return core_ && core_->watch(end_->on_over, end_->is_over, std::move(done));
}

std::uint32_t Stream::type() const noexcept {
  return end_ ? end_->type : 0;
}

// Of `Request`, whose answer a stream is.
Result<Stream> Request::accept_stream() {
  if (!core_) {
    return mews::fail(ErrorCode::invalid_argument,
                      "this request is answered already, or moved from");
  }
  if (!is_stream_) return mews::fail(ErrorCode::invalid_argument, "this request opens no stream");
  auto end = core_->accept_stream(slot_, type());
  if (!end) return tl::unexpected(std::move(end.error()));
  Stream stream(core_, std::move(*end));
  let_go();
  return stream;
}

}  // namespace mews::inline MEWS_LAYOUT
