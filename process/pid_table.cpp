#include "process/pid_table.h"

namespace process {

int PidTable::first_free(int from, int end) {
    int candidate = from;
    for (auto it = tree_.lower_bound(from, ByNumber()); it != tree_.end() && it->number == candidate; ++it) candidate++;
    return candidate < end ? candidate : 0;
}

Result<void> PidTable::insert(PidNumber& fresh) {
    int number = first_free(last_ + 1, kMaximum);
    if (!number) number = first_free(last_ < kFirstAfterWrap ? 1 : kFirstAfterWrap, kMaximum);
    if (!number) return fail(Errno::kAgain);
    fresh.number = number;
    fresh.users = 1;
    tree_.insert(fresh);
    last_ = number;
    return {};
}

PidNumber* PidTable::find(int number) {
    auto it = tree_.find(number, ByNumber());
    return it == tree_.end() ? nullptr : &*it;
}

PidNumber* PidTable::next(int after) {
    auto it = tree_.upper_bound(after, ByNumber());
    return it == tree_.end() ? nullptr : &*it;
}

bool PidTable::release(PidNumber& number) {
    if (--number.users != 0) return false;
    tree_.erase(tree_.iterator_to(number));
    return true;
}

}  // namespace process
