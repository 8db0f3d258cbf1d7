// Protection keys of programs: pkey_alloc, pkey_free (pkeys(7)); pkey_mprotect stands beside mprotect.
#include "arch/x86_64/pkru.h"
#include "libc-compat/families.h"
#include "mm/address_space.h"

namespace abi {
namespace {

// PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE: a key's two bits in PKRU.
constexpr uint32_t kDisableAccess = 1, kDisableWrite = 2;

Result<int64_t> sys_pkey_alloc(Context& context, uint64_t flags, uint64_t rights) {
    if (flags != 0 || (rights & ~uint64_t{kDisableAccess | kDisableWrite})) {
        return fail(Errno::kInval);
    }
    unsigned key = TRY(context.address_space().allocate_key());
    uint32_t others = arch::program_pkru() & ~(3u << (2 * key));
    arch::set_program_pkru(others | static_cast<uint32_t>(rights) << (2 * key));
    return key;
}

Result<void> sys_pkey_free(Context& context, int key) { return context.address_space().free_key(key); }

constexpr SystemCall kMemoryKeyCalls[] = {
    CALL(330, pkey_alloc, "flags, access_rights", "14 keys at most, where Linux has 15"),
    CALL(331, pkey_free, "pkey"),
};

}  // namespace

const SystemCallFamily kMemoryKeyFamily{"protection keys", kMemoryKeyCalls};

}  // namespace abi
