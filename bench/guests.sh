# Sourced by run and guard: the guests that the bench boots, one column of figures each. Needs BUILD, CACHE, MEMORY,
# LIMIT, ISOUNIK, results, rows, accel, here, and tests/guest/linux/guest.sh. A file of figures has lines
# "row value"; lines that begin with # say what it was measured with.

# What makes Linux look its best (docs/benchmarks.md).
tuned="mitigations=off init_on_alloc=0 apparmor=0 audit=0 randomize_kstack_offset=off preempt=none"
boot_memory=64         # MiB, of Iso-UniK in the rows boot_*
linux_boot_memory=128  # Linux does not reach init with less than some 70
failed=0
exec 3>&2

# Counted instructions, or time where KVM works. Sets clock (QEMU's arguments) and unit.
choose_clock() {
    if [[ $accel != tcg ]] && "$ISOUNIK" run -q --accel kvm --network none --rootfs "$here/guest" --dry-run \
        -- /CMakeLists.txt >/dev/null 2>&1; then
        say "KVM works: cycles of the time-stamp counter"
        clock=(-accel kvm) unit=cycles accel=kvm
    else
        [[ $accel != kvm ]] || fail "KVM does not work on this machine; leave --accel out"
        say "KVM does not work on this machine, or is not wanted: counting instructions under emulation"
        clock=(-accel tcg -icount shift=0,sleep=off) unit=instructions accel=tcg
    fi
}

# root of recipe NAME, as a directory tree at $2.
unpack_recipe() {
    fsck.erofs --extract="$2" --overwrite "$("$ISOUNIK" image "$1")" >/dev/null 2>&1 || fail "cannot unpack the root of $1"
}

# One root with the static binary, nginx and Redis for all rows, and a small one with nginx for the rows boot_*.
make_roots() {
    local root=$BUILD/root boot=$BUILD/boot-root
    if [[ ! -e $root/.complete ]]; then
        say "making the roots"
        rm -rf "$root" "$boot"
        mkdir -p "$root" "$boot"
        unpack_recipe nginx "$root"
        unpack_recipe redis "$root"
        unpack_recipe nginx "$boot"
        touch "$root/.complete"
    fi
    mkdir -p "$root/bench" "$boot/bench"
    cp -r "$BUILD"/bench-root/bench/* "$here"/guest/nginx/nginx.conf "$here"/guest/nginx/www "$root/bench/"
    cp "$BUILD"/bench-root/bench/isobench "$BUILD"/first_wait.so "$boot/bench/"
}

wants() {  # wants PREFIX: is a row whose name begins so asked for?
    local row
    (( ${#rows[@]} )) || return 0
    for row in "${rows[@]}"; do [[ $row == "$1"* || $1 == "$row"* ]] && return 0; done
    return 1
}

# Shows figures as they arrive in FILE: follow FILE NAME; ends with stop_following.
follow() {
    : >"$1"
    tail -n +1 -F --pid=$$ "$1" > >(while read -r row value rest; do
        [[ $row == [a-z]* && $value == [0-9]* && -z $rest ]] && printf '  %-22s %-34s %16s\n' "$2" "$row" "${value%$'\r'}" >&3
    done) 2>/dev/null &
    follower=$!
}
stop_following() { sleep 1; kill "$follower" 2>/dev/null || true; wait "$follower" 2>/dev/null || true; }

# The figures in a guest's output: the first of each row.
figures() { tr -d '\r' <"$1" | awk '(/^[a-z]/ && NF == 2 && !seen[$1]++) || /^# /'; }

# isounik_guest OUTPUT ARGS...: runs the launcher; a failure leaves its words in OUTPUT.err.
isounik_guest() {
    local output=$1
    shift
    local how=(--icount)
    [[ $accel == tcg ]] || how=(--accel kvm)
    timeout "$LIMIT" "$ISOUNIK" run -q "${how[@]}" "$@" >>"$output" 2>"$output.err" </dev/null
}

# isounik_column ISOLATION: figures in $results/isounik-ISOLATION.
isounik_column() {
    local name=isounik-$1 raw=$results/$1.raw cpu=()
    [[ $accel == kvm ]] || cpu=(--qemu-arg -cpu --qemu-arg max,-erms)
    if ! "$ISOUNIK" run -q --isolation "$1" --network none --rootfs "$BUILD/root" --dry-run -- /bench/isobench \
        >/dev/null 2>"$raw.err"; then
        say "no column for isolation $1: $(head -n 1 "$raw.err")"
        return
    fi
    say "$name"
    follow "$raw" "$name"
    if (( ${#rows[@]} == 0 )) || [[ ${rows[*]} != boot_* ]]; then
        isounik_guest "$raw" --isolation "$1" --machine q35 --network none -m "${MEMORY}M" "${cpu[@]}" \
            --rootfs "$BUILD/root" -- /bench/isobench "${rows[@]}" || guest_failed "$name" "$raw.err"
    fi
    if wants boot_to_main; then
        isounik_guest "$raw" --isolation "$1" --machine microvm -m "${boot_memory}M" "${cpu[@]}" \
            --rootfs "$BUILD/boot-root" -- /bench/isobench boot_to_main || guest_failed "$name" "$raw.err"
    fi
    if wants boot_to_nginx_waits; then
        isounik_guest "$raw" --isolation "$1" --machine microvm -m "${boot_memory}M" "${cpu[@]}" \
            -e LD_PRELOAD=/bench/first_wait.so --rootfs "$BUILD/boot-root" -- /usr/sbin/nginx -g 'daemon off;' ||
            guest_failed "$name" "$raw.err"
    fi
    stop_following
    figures "$raw" >"$results/$name"
}

guest_failed() {
    say "$1 failed: some rows are missing"
    tail -n 20 "$2" >&2
    failed=1
}

# linux_guest OUTPUT KERNEL ROOT CPU WORDS QEMU_ARGS... -- PROGRAM...: appends its figures to OUTPUT.
linux_guest() {
    local output=$1 kernel=$2 initramfs=$3.initramfs root=$3 cpu=$4 words=$5 qemu=()
    shift 5
    while [[ $1 != -- ]]; do qemu+=("$1"); shift; done
    shift
    linux_initramfs "$root" "$initramfs"
    # shellcheck disable=SC2086
    (linux_run "$kernel" "$initramfs" "$output.part" "$LIMIT" "${clock[@]}" -smp 1 -cpu "$cpu" "${qemu[@]}" -- $words \
        -- "$@") || return 1
    # The first program's main() reads the counter first of all, as isobench does where it is the first program.
    sed -n 's/^@@ tsc /boot_to_main /p' "$output.part.raw" | tr -d '\r' >"$output.boot"
    cat "$output.part" >>"$output"
}

# linux_column NAME KERNEL CPU WORDS: figures in $results/NAME, or those of the last time if nothing has changed.
linux_column() {
    local name=$1 kernel=$2 cpu=$3 words=$4 raw=$results/$1.raw key kept
    [[ $accel != kvm ]] || cpu=host
    key=$({ sha256sum "$kernel" "$BUILD"/root/bench/* "$BUILD"/boot-root/bench/*  "$BUILD"/linux/linux_init 2>/dev/null |
        sed 's/ .*//'; qemu-system-x86_64 --version; echo "$cpu $words $MEMORY ${clock[*]} ${rows[*]}"; } |
        sha256sum | cut -c1-32)
    kept=$CACHE/bench/$key
    if (( ! again )) && [[ -s $kept ]]; then
        say "$name: as measured before ($(sed -n 's/^# measured //p' "$kept")); --again measures it again"
        cp "$kept" "$results/$name"
        return
    fi
    say "$name: ${kernel##*/}"
    follow "$raw.part.raw" "$name"
    local failed_before=$failed
    failed=0
    if (( ${#rows[@]} == 0 )) || [[ ${rows[*]} != boot_* ]]; then
        linux_guest "$raw" "$kernel" "$BUILD/root" "$cpu" "$words" -machine q35 -m "$MEMORY" -- \
            /bench/isobench "${rows[@]}" || failed=1
    fi
    if wants boot_; then
        linux_guest "$raw" "$kernel" "$BUILD/boot-root" "$cpu" "$words LD_PRELOAD=/bench/first_wait.so" \
            -machine microvm -m "$linux_boot_memory" -- /usr/sbin/nginx -g '"daemon off;"' || failed=1
        cat "$raw.boot" >>"$raw"
    fi
    stop_following
    grep -q '^# Linux' "$raw" || echo "# Linux ${kernel##*vmlinuz-}" >>"$raw"
    { figures "$raw"; echo "# measured $(date +%F)"; } >"$results/$name"
    if (( failed )); then
        say "$name failed: some rows are missing"
    else
        mkdir -p "$CACHE/bench"
        cp "$results/$name" "$kept"
        failed=$failed_before
    fi
}
