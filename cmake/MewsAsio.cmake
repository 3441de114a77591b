# SPDX-License-Identifier: MIT
# Sets MEWS_HAS_STANDALONE_ASIO and MEWS_HAS_BOOST_ASIO: whether their headers are found. Only tests
# and examples use them.
find_path(MEWS_STANDALONE_ASIO_DIR asio.hpp)
set(boost_dirs "")
if(TARGET Boost::headers)
  get_target_property(boost_dirs Boost::headers INTERFACE_INCLUDE_DIRECTORIES)
endif()
find_path(MEWS_BOOST_ASIO_DIR boost/asio.hpp HINTS ${boost_dirs})
mark_as_advanced(MEWS_STANDALONE_ASIO_DIR MEWS_BOOST_ASIO_DIR)
set(MEWS_HAS_STANDALONE_ASIO FALSE)
if(MEWS_STANDALONE_ASIO_DIR)
  set(MEWS_HAS_STANDALONE_ASIO TRUE)
endif()
set(MEWS_HAS_BOOST_ASIO FALSE)
if(MEWS_BOOST_ASIO_DIR)
  set(MEWS_HAS_BOOST_ASIO TRUE)
endif()
