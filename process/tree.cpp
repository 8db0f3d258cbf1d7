#include "process/tree.h"

#include "process/clone.h"
#include "process/timers.h"

namespace process {

namespace {
ProcessTree the_tree;
}

ProcessTree& tree() { return the_tree; }

Result<PidReservation> PidReservation::create() {
    auto fresh = TRY(core::make<PidNumber>());
    core::SpinGuard guard(tree().lock);
    TRY(tree().pids.insert(*fresh));
    return PidReservation(fresh.release());
}

PidReservation::~PidReservation() {
    if (!number_) return;
    PidNumber* dead;
    {
        core::SpinGuard guard(tree().lock);
        dead = release_number_locked(*number_);
    }
    free_number(dead);
}

PidNumber* release_number_locked(PidNumber& number) { return tree().pids.release(number) ? &number : nullptr; }
void free_number(PidNumber* number) { delete number; }

PidNumber* set_group_locked(Process& process, PidNumber& group) {
    PidNumber* old = process.group_id;
    if (old == &group) return nullptr;
    tree().pids.hold(group);
    process.group_hook.unlink();
    group.group.push_back(process);
    process.group_id = &group;
    process.process_group = group.number;
    return old ? release_number_locked(*old) : nullptr;
}

PidNumber* set_session_locked(Process& process, PidNumber& session) {
    PidNumber* old = process.session_id;
    if (old == &session) return nullptr;
    tree().pids.hold(session);
    process.session_hook.unlink();
    session.session.push_back(process);
    process.session_id = &session;
    process.session = session.number;
    return old ? release_number_locked(*old) : nullptr;
}

Reaped reap_locked(Process& process) {
    ASSERT(process.zombie && !process.reaped);
    process.reaped = true;
    Reaped reaped{&process};
    process.sibling_hook.unlink();
    process.group_hook.unlink();
    process.session_hook.unlink();
    process.id->process = nullptr;
    reaped.numbers[0] = release_number_locked(*process.id);
    reaped.numbers[1] = release_number_locked(*process.group_id);
    reaped.numbers[2] = release_number_locked(*process.session_id);
    process.id = process.group_id = process.session_id = nullptr;
    process.parent = nullptr;
    return reaped;
}

void Reaped::finish() {
    for (PidNumber* number : numbers) free_number(number);
    if (process) process->unref();  // the table's reference
    process = nullptr;
}

Process::Process() = default;
Process::~Process() = default;
Thread::Thread() = default;
Thread::~Thread() {
    if (process) process->unref();
}

Ref<mm::AddressSpace> Process::space() {
    core::SpinGuard guard(signal_lock);
    return address_space;
}

Thread* current_thread_or_null() {
    sched::Thread& thread = sched::current();
    return thread.user_state ? static_cast<Thread*>(&thread) : nullptr;
}

Ref<Process> find_process(Pid pid) {
    core::SpinGuard guard(tree().lock);
    PidNumber* number = tree().pids.find(pid);
    return number ? Ref<Process>(number->process) : nullptr;
}

Ref<Thread> find_thread(Pid tid) {
    core::SpinGuard guard(tree().lock);
    PidNumber* number = tree().pids.find(tid);
    if (!number || !number->thread || !number->thread->try_ref()) return nullptr;
    return Ref<Thread>::adopt(number->thread);
}

void for_each_process(void (*visit)(void* context, Process& process), void* context) {
    int after = 0;
    for (;;) {
        Ref<Process> process;
        {
            core::SpinGuard guard(tree().lock);
            PidNumber* number = tree().pids.next(after);
            while (number && !number->process) number = tree().pids.next(number->number);
            if (!number) return;
            after = number->number;
            process = Ref<Process>(number->process);
        }
        visit(context, *process);
    }
}

Result<Ref<Credentials>> Credentials::clone() const {
    auto copy = TRY(core::make_ref<Credentials>());
    TRY(copy->groups.resize(groups.size()));
    for (size_t i = 0; i < groups.size(); i++) copy->groups[i] = groups[i];
    copy->uid = uid; copy->euid = euid; copy->suid = suid; copy->fsuid = fsuid;
    copy->gid = gid; copy->egid = egid; copy->sgid = sgid; copy->fsgid = fsgid;
    copy->capabilities_effective = capabilities_effective;
    copy->capabilities_permitted = capabilities_permitted;
    copy->capabilities_inheritable = capabilities_inheritable;
    copy->capabilities_bounding = capabilities_bounding;
    copy->capabilities_ambient = capabilities_ambient;
    copy->secure_bits = secure_bits;
    return copy;
}

void Usage::add(const Usage& other) {
    user_ns += other.user_ns;
    system_ns += other.system_ns;
    minor_faults += other.minor_faults;
    voluntary_switches += other.voluntary_switches;
    involuntary_switches += other.involuntary_switches;
    if (other.max_resident_kib > max_resident_kib) max_resident_kib = other.max_resident_kib;
}

}  // namespace process
