# For test drivers in bash: results as TAP.
#   . "$(dirname "$0")/../lib/tap.sh"
#   check NAME COMMAND...       ok if the command succeeds; its output is shown if it does not
#   same NAME EXPECTED ACTUAL   ok if the two texts are equal
#   finish                      the plan; status 1 if something failed

tap_count=0
tap_failed=0

tap_result() {  # tap_result ok|"not ok" NAME [WHY]
    tap_count=$((tap_count + 1))
    [[ $1 == ok ]] || tap_failed=$((tap_failed + 1))
    printf '%s %d - %s\n' "$1" "$tap_count" "$2"
    [[ -z ${3-} ]] || printf '%s\n' "$3" | tail -n 40 | sed 's/^/# /'
}

check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then tap_result ok "$name"; else tap_result "not ok" "$name" "$* gave status $?: $output"; fi
}

same() {
    if [[ $2 == "$3" ]]; then
        tap_result ok "$1"
    else
        tap_result "not ok" "$1" "$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3"))"
    fi
}

finish() {
    echo "1..$tap_count"
    ((tap_failed == 0)) && exit 0
    exit 1
}
