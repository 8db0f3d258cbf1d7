// The part of QEMU's plugin interface, version 1, that the profiler uses. Debian packages QEMU without its header;
// names, types and numbers are those of QEMU 7.2, include/qemu/qemu-plugin.h and docs/devel/tcg-plugins.rst.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

using qemu_plugin_id_t = uint64_t;
using qemu_plugin_meminfo_t = uint32_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

struct qemu_info_t {
    const char* target_name;
    struct {
        int min;
        int cur;
    } version;
    bool system_emulation;
    union {
        struct {
            int smp_vcpus;
            int max_vcpus;
        } system;
    };
};

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_CB_RW_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };

using TranslateCallback = void (*)(qemu_plugin_id_t id, qemu_plugin_tb* tb);
using ExecuteCallback = void (*)(unsigned vcpu, void* data);
using MemoryCallback = void (*)(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data);
using ExitCallback = void (*)(qemu_plugin_id_t id, void* data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, TranslateCallback callback);
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb* tb, ExecuteCallback callback, qemu_plugin_cb_flags flags,
                                          void* data);
void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn* insn, MemoryCallback callback, qemu_plugin_cb_flags flags,
                                      qemu_plugin_mem_rw access, void* data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ExitCallback callback, void* data);
size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* tb);
uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb* tb);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb* tb, size_t index);
const void* qemu_plugin_insn_data(const qemu_plugin_insn* insn);
size_t qemu_plugin_insn_size(const qemu_plugin_insn* insn);
/// Where the instruction lies in QEMU's own memory; null for memory of a device.
void* qemu_plugin_insn_haddr(const qemu_plugin_insn* insn);
}
