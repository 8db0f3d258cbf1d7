// Boost.Intrusive containers with the options that the kernel uses. Hooks stand inside the objects, so that
// insertion never allocates. `Hook` unlinks itself on destruction; `is_linked()` tells whether it is in a list.
//
//     struct Waiter { core::ListHook hook; };
//     core::List<Waiter, &Waiter::hook> waiters;
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

namespace core {

using ListHook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
template <typename T, auto kHook>
using List = boost::intrusive::list<T, boost::intrusive::member_hook<T, ListHook, kHook>,
                                    boost::intrusive::constant_time_size<false>>;

using TreeHook = boost::intrusive::set_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
// Ordered by `Compare`; Tree holds unique keys, MultiTree any.
template <typename T, auto kHook, typename Compare>
using Tree = boost::intrusive::set<T, boost::intrusive::member_hook<T, TreeHook, kHook>,
                                   boost::intrusive::compare<Compare>, boost::intrusive::constant_time_size<false>>;
template <typename T, auto kHook, typename Compare>
using MultiTree =
    boost::intrusive::multiset<T, boost::intrusive::member_hook<T, TreeHook, kHook>,
                               boost::intrusive::compare<Compare>, boost::intrusive::constant_time_size<false>>;

}  // namespace core
