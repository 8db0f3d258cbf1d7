# Sourced: boots Debian's cloud kernel in QEMU with a root directory as its initramfs. Needs CACHE (a folder for
# downloads) and BUILD (the folder that tests/guest was built in).

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

# linux_kernel [PACKAGE]: prints the path of the kernel image, fetched and unpacked on first use.
linux_kernel() {
    local meta=${1:-linux-image-cloud-amd64} package image
    package=$(apt-cache depends "$meta" 2>/dev/null | awk '/^ *Depends: linux-image-/ { print $2; exit }')
    package=${package:-$meta}
    image=$(ls "$CACHE/$package"/boot/vmlinuz-* 2>/dev/null | head -n 1)
    if [[ -z $image ]]; then
        command -v apt-get >/dev/null || fail "needs apt-get to fetch $package: run this on Debian"
        say "fetching $package"
        mkdir -p "$CACHE/$package.download"
        (cd "$CACHE/$package.download" && apt-get -qq download "$package" 2>/dev/null) ||
            fail "cannot fetch $package: run 'sudo apt-get update' and try again"
        dpkg-deb --fsys-tarfile "$CACHE/$package.download"/*.deb | (mkdir -p "$CACHE/$package" &&
            tar -x -C "$CACHE/$package" ./boot)
        rm -r "$CACHE/$package.download"
        image=$(ls "$CACHE/$package"/boot/vmlinuz-* | head -n 1)
    fi
    printf '%s\n' "$image"
}

# linux_initramfs ROOT OUTPUT: the root directory plus our init.
linux_initramfs() {
    cp "$BUILD/linux/linux_init" "$1/init"
    "$BUILD/linux/mkinitramfs" "$1" "$2"
    rm "$1/init"
}

# linux_run KERNEL INITRAMFS OUTPUT SECONDS QEMU_ARGS... -- KERNEL_WORDS... -- PROGRAM ARGS...
# What the program printed is in OUTPUT; the kernel's messages are in OUTPUT.log.
linux_run() {
    local kernel=$1 initramfs=$2 output=$3 limit=$4 qemu_args=() words=()
    shift 4
    while [[ $1 != -- ]]; do qemu_args+=("$1"); shift; done
    shift
    while [[ $1 != -- ]]; do words+=("$1"); shift; done
    shift
    command -v qemu-system-x86_64 >/dev/null || fail "needs QEMU: sudo apt-get install qemu-system-x86"
    timeout "$limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
        "${qemu_args[@]}" -kernel "$kernel" -initrd "$initramfs" \
        -serial "file:$output.raw" -serial "file:$output.log" \
        -append "console=ttyS1 quiet panic=-1 ${words[*]} -- $*" </dev/null
    local status=$?
    sed -n '/^@@ begin$/,/^@@ end/p' "$output.raw" | sed '1d;$d' >"$output"
    (( status == 124 )) && fail "the Linux guest did not end within $limit s; see $output.raw and $output.log"
    grep -q '^@@ end' "$output.raw" || fail "the Linux guest ended early; see $output.raw and $output.log"
}
