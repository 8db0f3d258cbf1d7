#include "process/pidfd.h"

#include "fs/directory_file.h"
#include "process/tree.h"

namespace process {

uint32_t PidFile::poll(fs::PollRegistrar* registrar) {
    if (registrar) registrar->watch(process_->exited);
    core::SpinGuard guard(tree().lock);
    return process_->zombie || process_->reaped ? fs::kPollIn | fs::kPollRdNorm : 0;
}

fs::Attributes PidFile::attributes() {
    fs::Attributes attributes;
    attributes.type = static_cast<fs::FileType>(0);
    attributes.permissions = 0600;
    return attributes;
}

Result<Ref<Process>> process_of_pidfd(Thread& thread, int fd) {
    Ref<fs::File> file = TRY(thread.files->get(fd));
    if (file->kind() != PidFile::kKind) return fail(Errno::kBadF);
    return Ref<Process>(&static_cast<PidFile&>(*file).process());
}

Result<Ref<Process>> process_to_signal(Thread& thread, int fd) {
    Ref<fs::File> file = TRY(thread.files->get(fd));
    if (file->kind() == PidFile::kKind) return Ref<Process>(&static_cast<PidFile&>(*file).process());
    // A place (O_PATH) has another kind, as it has other operations in Linux.
    if (file->kind() != fs::DirectoryFile::kKind) return fail(Errno::kBadF);
    auto* process = static_cast<Process*>(static_cast<fs::DirectoryFile&>(*file).process());
    if (!process) return fail(Errno::kBadF);
    return Ref<Process>(process);
}

Result<PidFdReservation> PidFdReservation::create(Thread& parent, const Ref<Process>& process) {
    auto file = TRY(core::make_ref<PidFile>(process, 0u));
    PidFdReservation reservation;
    reservation.number_ = TRY(parent.files->install(std::move(file), fs::CloseOnExec::kYes,
                                                    parent.process->limits[kLimitNoFile].soft));
    reservation.files_ = parent.files;
    return reservation;
}

PidFdReservation::~PidFdReservation() {
    if (number_ >= 0) (void)files_->close(number_);
}

}  // namespace process
