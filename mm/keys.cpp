// Protection keys of programs: which are in use (pkeys(7); Linux's mm_pkey_alloc() and __execute_only_pkey()).
#include <bit>

#include "arch/x86_64/pkru.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {
constexpr unsigned kKeys = 16;
}  // namespace

void State::initialize_keys() {
    // Without keys in the processor there is not even key 0 to name.
    if (arch::has_protection_keys()) used_keys = static_cast<uint16_t>(1 | 1 << arch::kKernelKey);
}

bool State::has_key(int key) const {
    if (key < 0 || key >= static_cast<int>(kKeys) || key == static_cast<int>(arch::kKernelKey)) return false;
    if (key != 0 && key == execute_only_key) return false;
    return used_keys >> key & 1;
}

unsigned State::take_key() {
    auto key = static_cast<unsigned>(std::countr_one(used_keys));
    if (used_keys == 0 || key >= kKeys) return 0;
    used_keys |= static_cast<uint16_t>(1 << key);
    arch::note_program_keys();
    return key;
}

unsigned State::key_after(const Vma& vma, Protection protection, int wanted) {
    if (wanted != kNoKey) return static_cast<unsigned>(wanted);
    constexpr Protection kExecuteOnly{false, false, true};
    if (protection == kExecuteOnly) {
        if (execute_only_key == 0) execute_only_key = static_cast<uint8_t>(take_key());
        if (execute_only_key != 0) return execute_only_key;
    } else if (vma.protection == kExecuteOnly && vma.key != 0 && vma.key == execute_only_key) {
        return 0;
    }
    return vma.key;
}

Result<unsigned> AddressSpace::allocate_key() {
    SpaceGuard guard(*state_);
    unsigned key = state_->take_key();
    if (key == 0) return fail(Errno::kNoSpc);
    return key;
}

Result<void> AddressSpace::free_key(int key) {
    SpaceGuard guard(*state_);
    if (!state_->has_key(key)) return fail(Errno::kInval);
    state_->used_keys &= static_cast<uint16_t>(~(1 << key));
    return {};
}

unsigned AddressSpace::execute_only_key() {
    SpaceGuard guard(*state_);
    if (state_->execute_only_key == 0) state_->execute_only_key = static_cast<uint8_t>(state_->take_key());
    return state_->execute_only_key;
}

unsigned AddressSpace::key_at(UserAddr address) {
    SpaceGuard guard(*state_);
    const Vma* vma = state_->containing(address);
    return vma ? vma->key : 0;
}

}  // namespace mm
