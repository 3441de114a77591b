// SPDX-License-Identifier: MIT
#pragma once

#include "mews/base/layout_version.hpp"

// Chooses between standalone Asio and Boost.Asio, for `mews/asio.hpp`, which says how.

#if defined(MEWS_ASIO_BOOST) && defined(MEWS_ASIO_STANDALONE)
#error "define MEWS_ASIO_BOOST or MEWS_ASIO_STANDALONE, not both"
#elif defined(MEWS_ASIO_BOOST)
#define MEWS_ASIO_IS_BOOST 1
#elif defined(MEWS_ASIO_STANDALONE) || defined(ASIO_STANDALONE)
#define MEWS_ASIO_IS_BOOST 0
#elif __has_include(<boost/asio.hpp>)
#define MEWS_ASIO_IS_BOOST 1
#elif __has_include(<asio.hpp>)
#define MEWS_ASIO_IS_BOOST 0
#else
#error "mews/asio.hpp needs Asio (Debian: libasio-dev) or Boost.Asio (Debian: libboost-dev)"
#endif

#if MEWS_ASIO_IS_BOOST
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/version.hpp>
#define MEWS_ASIO_FLAVOUR boost_asio
#define MEWS_ASIO_HAS_CANCELLATION (BOOST_ASIO_VERSION >= 102000)
#else
// Without it Asio would look for parts of Boost.
#if !defined(ASIO_STANDALONE)
#define ASIO_STANDALONE 1
#endif
#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/version.hpp>
#define MEWS_ASIO_FLAVOUR standalone_asio
#define MEWS_ASIO_HAS_CANCELLATION (ASIO_VERSION >= 102000)
#endif

#if MEWS_ASIO_HAS_CANCELLATION
#if MEWS_ASIO_IS_BOOST
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#else
#include <asio/associated_cancellation_slot.hpp>
#include <asio/cancellation_type.hpp>
#endif
#endif

// A namespace for each of the two: one program may use both, in different sources.
namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR {

#if MEWS_ASIO_IS_BOOST
namespace net = ::boost::asio;
using AsioErrorCode = ::boost::system::error_code;
#else
namespace net = ::asio;
using AsioErrorCode = ::std::error_code;
#endif

}  // namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR
