#include "mpk/exposed_slot.h"

#include <cstring>

#include "arch/x86_64/armed.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/page_table.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/top_table.h"
#include "core/lock.h"
#include "core/weakness.h"
#include "mm/frames.h"

namespace mpk {

namespace {

using arch::PageEntry;

extern "C" {
// mpk/stubs.S, in this order; the index is the model's.
struct StubAddresses {
    uint64_t vectors[arch::kModelCount], debug[arch::kModelCount], nmi[arch::kModelCount],
        double_fault[arch::kModelCount], machine_check[arch::kModelCount], system_call[arch::kModelCount],
        exit[arch::kModelCount], error_entries[arch::kModelCount];
    uint64_t call[arch::kModelCount];   // none for confined programs
    uint64_t call_saved, call_opened;   // between them, rdx of the caller is in the scratch page
};
extern const StubAddresses stub_addresses;
// Where PKRU is open while Processor::in_program is set: [start, end) goes on at `restart` with PKRU closed.
struct StubWindow {
    uint64_t start, end, restart;
};
extern const StubWindow stub_windows[], stub_windows_end[];
// boot/kernel.ld.
extern const char stubs_physical[], stubs_page_count[], armed_physical[];
}

struct SharedPages {
    core::Pfn gate[arch::kModelCount], idt[arch::kModelCount], gdt;
};
SharedPages shared;

constexpr unsigned kIstStacks = 5;
constexpr uint32_t kIstOffsets[kIstStacks] = {EXPOSED_IST1, EXPOSED_IST_NMI, EXPOSED_IST_DF, EXPOSED_IST_MC,
                                              EXPOSED_IST_DB};

// SDM vol. 3, figure 8-11.
struct [[gnu::packed]] TaskState {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
};
static_assert(sizeof(TaskState) == 104);

// SDM vol. 3, figure 6-8.
struct Gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
static_assert(sizeof(Gate) == 16);

Gate make_gate(uint64_t handler, uint8_t ist, uint8_t privilege) {
    return {static_cast<uint16_t>(handler), SELECTOR_KERNEL_CODE, ist, static_cast<uint8_t>(0x8e | privilege << 5),
            static_cast<uint16_t>(handler >> 16), static_cast<uint32_t>(handler >> 32), 0};
}

// Those that push an error code (mpk/stubs.S, ERROR_ENTRIES).
constexpr uint8_t kErrorVectors[] = {8, 10, 11, 12, 13, 14, 17, 21, 29, 30};

void fill_idt(core::Pfn page, unsigned model) {
    auto gates = static_cast<Gate*>(mm::to_pointer(page));
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t handler = stub_addresses.vectors[model] + 16 * vector;
        uint8_t ist = 1;
        if (model != 0 && core::weakened(core::Weakness::kErrorCodeAlignment)) {
            for (unsigned i = 0; i < std::size(kErrorVectors); i++) {
                // Behind the test.
                if (kErrorVectors[i] == vector) handler = stub_addresses.error_entries[model] + 64 * i + 6;
            }
        }
        if (vector == 1) handler = stub_addresses.debug[model], ist = 5;
        if (vector == 2) handler = stub_addresses.nmi[model], ist = 2;
        if (vector == 8) handler = stub_addresses.double_fault[model], ist = 3;
        if (vector == 18) handler = stub_addresses.machine_check[model], ist = 4;
        // Ring 3 may raise only #BP and #OF by instruction, as on Linux.
        gates[vector] = make_gate(handler, ist, vector == 3 || vector == 4 ? 3 : 0);
    }
}

void fill_gdt(core::Pfn page) {
    auto base = static_cast<std::byte*>(mm::to_pointer(page));
    auto gdt = reinterpret_cast<uint64_t*>(base);
    // Accessed bits are set: the processor must not write to the read-only page (SDM vol. 3, 3.4.5.1).
    gdt[SELECTOR_KERNEL_CODE / 8] = 0x00af9b000000ffff;
    gdt[SELECTOR_KERNEL_DATA / 8] = 0x00cf93000000ffff;
    gdt[SELECTOR_USER_DATA / 8] = 0x00cff3000000ffff;
    gdt[SELECTOR_USER_CODE / 8] = 0x00affb000000ffff;
    uint64_t tss = EXPOSED_BASE + EXPOSED_TSS;
    gdt[SELECTOR_TSS / 8] = (sizeof(TaskState) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
                            (tss >> 24 & 0xff) << 56;
    gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
    TaskState state{};
    for (unsigned i = 0; i < kIstStacks; i++) state.ist[i] = EXPOSED_BASE + kIstOffsets[i] + core::kPageSize;
    state.io_map = sizeof(TaskState);
    std::memcpy(base + (EXPOSED_TSS - EXPOSED_GDT), &state, sizeof(state));
}

// The gate page: `jmp rel32` to the model's stubs.
void fill_gate(core::Pfn page, unsigned model) {
    auto code = static_cast<uint8_t*>(mm::to_pointer(page));
    std::memset(code, 0xcc, core::kPageSize);
    auto jump = [&](uint64_t offset, uint64_t target) {
        auto distance = static_cast<uint32_t>(target - (EXPOSED_BASE + EXPOSED_GATE + offset + 5));
        code[offset] = 0xe9;
        std::memcpy(code + offset + 1, &distance, sizeof(distance));
    };
    jump(0, stub_addresses.system_call[model]);
    if (stub_addresses.call[model]) jump(EXPOSED_CALL_GATE - EXPOSED_GATE, stub_addresses.call[model]);
}

constexpr uint64_t kRead = PageEntry::kPresent | PageEntry::kUser | PageEntry::kAccessed |
                           PageEntry::key_bits(arch::kKernelKey);
constexpr uint64_t kData = kRead | PageEntry::kNoExecute;
constexpr uint64_t kReadWrite = kData | PageEntry::kWrite | PageEntry::kDirty;

Result<core::Pfn> new_table() { return mm::allocate_frame(mm::Fill::kZeroed, mm::Frame::State::kPageTable); }
Result<core::Pfn> new_page() { return mm::allocate_frame(mm::Fill::kZeroed, mm::Frame::State::kKernel); }

arch::PageTable& table_at(core::Pfn frame) { return *static_cast<arch::PageTable*>(mm::to_pointer(frame)); }

// Three levels of tables that map `leaf_table` at the 2 MiB of a slot that hold `address`.
Result<core::Pfn> chain_to(core::Pfn leaf_table, uint64_t address) {
    core::Pfn directory = TRY(new_table()), pointers = TRY(new_table());
    table_at(directory).set(arch::table_index(address, 2), PageEntry::kernel_table(leaf_table));
    table_at(pointers).set(arch::table_index(address, 3), PageEntry::kernel_table(directory));
    return pointers;
}

constexpr uint64_t kTopFlags = PageEntry::kPresent | PageEntry::kWrite | PageEntry::kAccessed;

}  // namespace

Result<void> initialize_exposed_pages() {
    for (unsigned model = 0; model < arch::kModelCount; model++) {
        arch::set_exit_stub(static_cast<arch::Model>(model), exit_stub(static_cast<arch::Model>(model)));
        shared.gate[model] = TRY(new_page());
        shared.idt[model] = TRY(new_page());
        fill_gate(shared.gate[model], model);
        fill_idt(shared.idt[model], model);
    }
    shared.gdt = TRY(new_page());
    fill_gdt(shared.gdt);
    return {};
}

Result<void> build_processor_slots(unsigned number, core::Pfn page) {
    core::Pfn stacks[kIstStacks];
    static core::Pfn shared_stacks[kIstStacks];
    bool share = core::weakened(core::Weakness::kPrivateIst) && number != 0;
    for (unsigned i = 0; i < kIstStacks; i++) {
        stacks[i] = share ? shared_stacks[i] : TRY(new_page());
        if (number == 0) shared_stacks[i] = stacks[i];
    }
    core::Pfn step = TRY(new_page());
    static_cast<arch::Processor*>(mm::to_pointer(page))->step_page = mm::to_pointer(step);
    core::Pfn data_table = TRY(new_table());
    table_at(data_table).set(arch::table_index(PROCESSOR_BASE, 1), PageEntry::kernel_data(page));
    unsigned armed = arch::table_index(ARMED_BASE, 1);
    core::Pfn armed_frame(core::PhysAddr(reinterpret_cast<uint64_t>(armed_physical)));
    table_at(data_table).set(armed, PageEntry(armed_frame, kData));
    core::Pfn data_chain = TRY(chain_to(data_table, PROCESSOR_BASE));
    auto processor = static_cast<arch::Processor*>(mm::to_pointer(page));
    processor->exit_to_program = exit_stub(arch::Model::kConfined);
    processor->armed_entry = &table_at(data_table).entries[armed];
    core::Pfn scratch = TRY(new_page());
    core::Pfn stub_frame(core::PhysAddr(reinterpret_cast<uint64_t>(stubs_physical)));
    for (unsigned i = 0; i < arch::kModelCount; i++) {
        auto model = static_cast<arch::Model>(i);
        core::Pfn leaves = TRY(new_table());
        arch::PageTable& table = table_at(leaves);
        auto map = [&](uint64_t offset, core::Pfn frame, uint64_t flags) {
            table.set(static_cast<unsigned>(offset / core::kPageSize), PageEntry(frame, flags));
        };
        map(EXPOSED_GATE, shared.gate[i], kRead);
        for (uint64_t n = 0; n < reinterpret_cast<uint64_t>(stubs_page_count); n++) {
            map(EXPOSED_STUBS + n * core::kPageSize, stub_frame + n, kRead);
        }
        map(EXPOSED_IDT, shared.idt[i], kData);
        map(EXPOSED_GDT, shared.gdt, kData);
        map(EXPOSED_SCRATCH, scratch, kReadWrite);
        for (unsigned n = 0; n < kIstStacks; n++) map(kIstOffsets[n], stacks[n], kReadWrite);
        if (model == arch::Model::kIsolated) map(EXPOSED_STEP, step, kRead);
        core::Pfn chain = TRY(chain_to(leaves, EXPOSED_BASE));
        arch::set_processor_top_entry(arch::kExposedSlot, number, model, PageEntry(chain, kTopFlags).raw());
        uint64_t user = model == arch::Model::kIsolated ? PageEntry::kUser : 0;
        arch::set_processor_top_entry(arch::kProcessorSlot, number, model,
                                      PageEntry(data_chain, kTopFlags | user).raw());
    }
    return {};
}

ISOUNIK_INIT void load_descriptors() {
    struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } pointer;
    // LTR marks the TSS busy in the GDT, which programs' tables map read-only: do it through the direct map, one
    // processor at a time, and clear the busy bit that the processor before has left.
    static core::Spinlock lock(core::Rank::kDevice);
    core::SpinGuard guard(lock);
    auto gdt = static_cast<uint64_t*>(mm::to_pointer(shared.gdt));
    gdt[SELECTOR_TSS / 8] &= ~(uint64_t{2} << 40);
    pointer = {SELECTOR_TSS + 15, reinterpret_cast<uint64_t>(gdt)};
    // SAFETY: the same descriptors stand at the exposed address, which every later table maps.
    asm volatile("lgdt %0" : : "m"(pointer));
    asm volatile("ltr %w0" : : "r"(SELECTOR_TSS));
    pointer.base = EXPOSED_BASE + EXPOSED_GDT;
    asm volatile("lgdt %0" : : "m"(pointer));
    asm volatile("pushq %0\n lea 1f(%%rip), %%rax\n pushq %%rax\n lretq\n 1:\n mov %1, %%ss\n mov %1, %%ds\n"
                 "mov %1, %%es\n"
                 : : "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA) : "rax", "memory");
    pointer = {4095, EXPOSED_BASE + EXPOSED_IDT};
    asm volatile("lidt %0" : : "m"(pointer));

    arch::write_msr(arch::kMsrStar, uint64_t{0x23} << 48 | uint64_t{SELECTOR_KERNEL_CODE} << 32);
    arch::write_msr(arch::kMsrLstar, EXPOSED_BASE + EXPOSED_GATE);
    // Cleared on entry: TF, IF, DF, IOPL, NT, RF, AC (SDM vol. 3, 5.8.8).
    constexpr uint64_t kInterrupts = 0x200;
    arch::write_msr(arch::kMsrSfmask, core::weakened(core::Weakness::kFlagMask)
                                          ? kInterrupts
                                          : kInterrupts | 0x100 | 0x400 | 0x3000 | 0x4000 | 0x10000 | 0x40000);
}

ExitStub exit_stub(arch::Model model) {
    return reinterpret_cast<ExitStub>(stub_addresses.exit[static_cast<unsigned>(model)]);
}

uint64_t call_gate(arch::Model model) {
    return stub_addresses.call[static_cast<unsigned>(model == arch::Model::kConfined ? arch::Model::kIsolated : model)];
}

bool is_call_gate(uint64_t address) {
    return address == EXPOSED_BASE + EXPOSED_CALL_GATE || address == call_gate(arch::Model::kIsolated) ||
           address == call_gate(arch::Model::kNone);
}

bool enters_call_gate(uint64_t address) {
    return address >= call_gate(arch::Model::kIsolated) && address < stub_addresses.call_opened;
}

bool leave_call_gate(arch::TrapFrame& frame) {
    if (!enters_call_gate(frame.rip)) return false;
    if (frame.rip >= stub_addresses.call_saved) {
        // SAFETY: the stub's word for rdx (mpk/stubs.S, S_RDX), in every exposed slot.
        frame.rdx = reinterpret_cast<const uint64_t*>(EXPOSED_BASE + EXPOSED_SCRATCH)[2];
        frame.rax = frame.r11;
    }
    frame.rip = call_gate(arch::Model::kIsolated);
    return true;
}

bool is_stub(uint64_t address) { return address - EXPOSED_BASE < EXPOSED_STUBS_END; }

uint64_t leave_window(uint64_t address) {
    for (const StubWindow* window = stub_windows; window != stub_windows_end; window++) {
        if (address >= window->start && address < window->end) return window->restart;
    }
    return address;
}

}  // namespace mpk
