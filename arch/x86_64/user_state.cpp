#include "arch/x86_64/user_state.h"

#include <cstring>

#include "arch/x86_64/armed.h"
#include "arch/x86_64/exception_fixup.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/pkru.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/trap_frame.h"
#include "arch/x86_64/user_copy.h"
#include "core/weakness.h"

namespace arch {

namespace {

constexpr uint32_t kXcr0X87 = 1, kXcr0Sse = 2, kXcr0Avx = 4, kXcr0Avx512 = 0xe0;
constexpr uint32_t kMxcsrDefault = 0x1f80;
constexpr uint16_t kFcwDefault = 0x37f;

uint32_t enabled_features = 0;
size_t area_size = 512 + 64;
uint32_t mxcsr_mask = 0xffbf;
bool has_xsaveopt = false;

constexpr size_t kMxcsrOffset = 24, kSoftwareReservedOffset = 464, kHeaderOffset = 512;
constexpr uint32_t kMagic1 = 0x46505853, kMagic2 = 0x46505845;

// struct _fpx_sw_bytes of a signal frame (arch/x86/include/uapi/asm/sigcontext.h).
struct SoftwareBytes {
    uint32_t magic1, extended_size;
    uint64_t features;
    uint32_t state_size, padding[7];
};
static_assert(sizeof(SoftwareBytes) == 48);

// What XSAVE and its like take in EDX:EAX: every component that XCR0 enables, all of them in the low half.
#define ALL_COMPONENTS "a"(enabled_features), "d"(0)

// SAFETY (all three): `area` is 64-byte aligned and area_size bytes; XCR0 holds no PKRU component.
void xsave(std::byte* area) { asm volatile("xsave64 (%0)" : : "r"(area), ALL_COMPONENTS : "memory"); }
void xsave_optimized(std::byte* area) { asm volatile("xsaveopt64 (%0)" : : "r"(area), ALL_COMPONENTS : "memory"); }
void xrstor(const std::byte* area) { asm volatile("xrstor64 (%0)" : : "r"(area), ALL_COMPONENTS : "memory"); }

// Nothing but MXCSR: XRSTOR puts each component that the header does not name into its initial state (SDM vol. 1,
// 13.8) and reads no further than the header.
struct alignas(64) FreshArea {
    std::byte before_mxcsr[kMxcsrOffset]{};
    uint32_t mxcsr = kMxcsrDefault;
    std::byte rest[kHeaderOffset + 64 - kMxcsrOffset - sizeof(uint32_t)]{};
};
constexpr FreshArea kFreshArea;

void initialize_area(std::byte* area) {
    std::memset(area, 0, area_size);
    std::memcpy(area, &kFcwDefault, sizeof(kFcwDefault));
    std::memcpy(area + kMxcsrOffset, &kMxcsrDefault, sizeof(kMxcsrDefault));
}

std::byte* allocate_area() {
    return static_cast<std::byte*>(operator new(area_size, std::align_val_t(64), std::nothrow));
}

}  // namespace

ISOUNIK_INIT void initialize_fpu() {
    // Paging, write protection and the cache on (INIT leaves CD and NW set); x87 errors as #MF (SDM vol. 3, 2.5).
    constexpr uint64_t kPe = 1, kMp = 1 << 1, kEt = 1 << 4, kNe = 1 << 5, kWp = 1 << 16, kPg = uint64_t{1} << 31;
    init_write_cr0(kPe | kMp | kEt | kNe | kWp | kPg);
    init_write_cr4(read_cr4() | 1 << 9 | 1 << 10 | 1 << 18);                 // OSFXSR, OSXMMEXCPT, OSXSAVE
    CpuidResult supported = cpuid(0xd, 0);
    uint32_t features = kXcr0X87 | kXcr0Sse;
    if (supported.eax & kXcr0Avx) features |= kXcr0Avx;
    if ((supported.eax & kXcr0Avx512) == kXcr0Avx512 && (features & kXcr0Avx)) features |= kXcr0Avx512;
    // SAFETY: XSETBV with components that CPUID reports (SDM vol. 1, 13.3).
    asm volatile("xsetbv" : : "c"(0), "a"(features), "d"(0));
    enabled_features = features;
    area_size = cpuid(0xd, 0).ebx;  // size for what XCR0 enables now
    has_xsaveopt = cpuid(0xd, 1).eax & 1;
    alignas(64) static std::byte legacy[512];
    asm volatile("fninit; fxsave64 (%0)" : : "r"(legacy) : "memory");
    uint32_t mask;
    std::memcpy(&mask, legacy + 28, sizeof(mask));
    if (mask) mxcsr_mask = mask;
}

size_t xsave_size() { return area_size; }
size_t signal_fpstate_size() { return area_size + sizeof(kMagic2); }

void save_user_state(UserState& state) {
    if (has_xsaveopt) xsave_optimized(state.xsave_area);
    else xsave(state.xsave_area);
    state.fs_base = read_fs_base();
    state.gs_base = read_gs_base();
    state.pkru = program_pkru();
}

void load_user_state(const UserState& state) {
    xrstor(state.xsave_area);
    set_program_pkru(state.pkru);
    write_fs_base(state.fs_base);
    write_gs_base(state.gs_base);
}

Result<std::unique_ptr<UserState>> UserState::create() {
    auto state = TRY(core::make<UserState>());
    state->xsave_area = allocate_area();
    if (!state->xsave_area) return fail(Errno::kNoMem);
    initialize_area(state->xsave_area);
    return state;
}

Result<std::unique_ptr<UserState>> UserState::clone_current() {
    auto state = TRY(core::make<UserState>());
    state->xsave_area = allocate_area();
    if (!state->xsave_area) return fail(Errno::kNoMem);
    std::memset(state->xsave_area + kHeaderOffset, 0, 64);  // XSAVE leaves the reserved header bytes alone
    xsave(state->xsave_area);
    state->fs_base = read_fs_base();
    state->gs_base = read_gs_base();
    if (processor().user_state) state->pkru = program_pkru();
    return state;
}

void UserState::reset_current() {
    UserState& state = *processor().user_state;
    initialize_area(state.xsave_area);
    state.fs_base = state.gs_base = 0;
    state.pkru = kInitialPkru;
    load_user_state(state);
}

UserState::~UserState() {
    if (xsave_area) operator delete(xsave_area, std::align_val_t(64));
}

namespace {

// The first word of SoftwareBytes: magic1 and extended_size.
uint64_t software_head() { return kMagic1 | static_cast<uint64_t>(signal_fpstate_size()) << 32; }

bool fits_in_program(uint64_t area) {
    return core::is_aligned(area, 64) && area < core::kUserEnd - signal_fpstate_size();
}

// An instruction that goes on at `bad` if it faults, on the FPU state of a signal frame.
#define ON_FRAME(instruction) "1: " instruction "\n" FIXUP(1b, %l[bad])

// SAFETY: fits_in_program(area). XSAVE leaves alone the reserved bytes of the header, bits of absent components, and
// the bytes that are the software's.
bool store_fpstate(uint64_t area) {
    ProgramKeys keys;
    asm goto(".irp offset, 512, 520, 528, 536, 544, 552, 560, 568, 488, 496, 504\n"
             ON_FRAME("movq $0, \\offset(%[area])")
             ".endr\n"
             ON_FRAME("xsave64 (%[area])")
             ON_FRAME("movq %[head], 464(%[area])")
             ON_FRAME("movq %[features], 472(%[area])")
             ON_FRAME("movq %[size], 480(%[area])")
             ON_FRAME("movl %[magic2], (%[area], %[size])")
             : : [area] "r"(area), [head] "r"(software_head()), [features] "r"(uint64_t{enabled_features}),
                 [size] "r"(area_size), [magic2] "i"(kMagic2), ALL_COMPONENTS : "memory" : bad);
    return true;
bad:
    return false;
}

// True if the frame is as store_fpstate() made it and its state is loaded.
// SAFETY: fits_in_program(area). XRSTOR of what the program wrote there faults, or loads what the program may have.
bool load_own_fpstate(uint64_t area) {
    ProgramKeys keys;
    asm goto(ON_FRAME("cmpq %[head], 464(%[area])") "jne %l[bad]\n"
             ON_FRAME("cmpq %[features], 472(%[area])") "jne %l[bad]\n"
             ON_FRAME("cmpl %k[size], 480(%[area])") "jne %l[bad]\n"
             ON_FRAME("cmpl %[magic2], (%[area], %[size])") "jne %l[bad]\n"
             ON_FRAME("xrstor64 (%[area])")
             : : [area] "r"(area), [head] "r"(software_head()), [features] "r"(uint64_t{enabled_features}),
                 [size] "r"(area_size), [magic2] "i"(kMagic2), ALL_COMPONENTS : "memory", "cc" : bad);
    return true;
bad:
    return false;
}

}  // namespace

Result<void> save_signal_fpstate(UserAddr destination) {
    const uint64_t area = destination.value();
    if (!fits_in_program(area) || !store_fpstate(area)) return fail(Errno::kFault);
    return {};
}

void reset_fpstate() { xrstor(reinterpret_cast<const std::byte*>(&kFreshArea)); }

Result<void> restore_signal_fpstate(UserAddr source) {
    std::byte* area = processor().user_state->xsave_area;  // free while the thread is in the kernel
    if (source.is_null()) {
        reset_fpstate();
        return {};
    }
    if (fits_in_program(source.value()) && load_own_fpstate(source.value())) return {};
    TRY(copy_in(area, source, 512));
    SoftwareBytes software;
    std::memcpy(&software, area + kSoftwareReservedOffset, sizeof(software));
    uint64_t restored = kXcr0X87 | kXcr0Sse;
    if (software.magic1 == kMagic1 && software.state_size == area_size) {
        TRY(copy_in(area + 512, source + 512, area_size - 512));
        std::memcpy(&restored, area + kHeaderOffset, sizeof(restored));
        restored &= software.features & enabled_features;
    } else {
        std::memset(area + 512, 0, area_size - 512);
    }
    // A header or MXCSR with reserved bits would make XRSTOR fault (SDM vol. 1, 13.8).
    std::memset(area + kHeaderOffset, 0, 64);
    std::memcpy(area + kHeaderOffset, &restored, sizeof(restored));
    uint32_t mxcsr;
    std::memcpy(&mxcsr, area + kMxcsrOffset, sizeof(mxcsr));
    mxcsr &= mxcsr_mask;
    std::memcpy(area + kMxcsrOffset, &mxcsr, sizeof(mxcsr));
    xrstor(area);
    return {};
}

uint32_t raised_x87_exceptions() {
    uint16_t control, status;
    asm volatile("fnstcw %0; fnstsw %1" : "=m"(control), "=m"(status));
    return status & ~control & kFloatingPointExceptions;
}

uint32_t raised_sse_exceptions() {
    constexpr uint32_t kMaskShift = 7;
    uint32_t mxcsr;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    return mxcsr & ~(mxcsr >> kMaskShift) & kFloatingPointExceptions;
}

uint64_t fs_base() { return read_fs_base(); }
uint64_t gs_base() { return read_gs_base(); }
void set_fs_base(uint64_t base) { write_fs_base(base); }
void set_gs_base(uint64_t base) { write_gs_base(base); }

TrapFrame initial_frame(UserAddr entry, UserAddr stack, EntryRing ring) {
    TrapFrame frame{};
    frame.rip = entry.value();
    frame.rsp = stack.value();
    frame.rflags = 0x202;
    sanitize_frame(frame, ring);
    return frame;
}

// The way back must not fault: an address that is not canonical becomes one of the kernel's half, where the program
// faults.
uint64_t canonical_instruction_pointer(uint64_t address) {
    if (core::weakened(core::Weakness::kCanonicalReturn)) return address;
    return static_cast<uint64_t>(static_cast<int64_t>(address << 16) >> 16);
}

void sanitize_frame(TrapFrame& frame, EntryRing ring) {
    // Programs may choose CF PF AF ZF SF TF DF OF RF AC ID; IF is 1, IOPL, NT, VM are 0.
    constexpr uint64_t kProgramFlags = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x10000 | 0x40000 |
                                       0x200000;
    frame.rflags = (frame.rflags & kProgramFlags) | 0x202;
    frame.rip = canonical_instruction_pointer(frame.rip);
    bool ring3 = ring == EntryRing::kRing3;
    frame.cs = ring3 ? SELECTOR_USER_CODE : SELECTOR_KERNEL_CODE;
    frame.ss = ring3 ? SELECTOR_USER_DATA : SELECTOR_KERNEL_DATA;
}

uint64_t hwcap() { return cpuid(1).edx; }
uint64_t hwcap2() { return 1 << 1; }  // HWCAP2_FSGSBASE

const char* processor_brand() {
    static char brand[49];
    if (brand[0] == '\0' && cpuid(0x80000000).eax >= 0x80000004) {
        for (uint32_t i = 0; i < 3; i++) {
            CpuidResult part = cpuid(0x80000002 + i);
            std::memcpy(brand + 16 * i, &part, sizeof(part));
        }
    }
    return brand;
}

}  // namespace arch
