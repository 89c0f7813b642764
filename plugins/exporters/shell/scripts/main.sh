# --- what is asked for ---------------------------------------------------------------------------------

revert() {
    if ! load "$state"; then
        rm -f "$state"
        echo "${recovered:-Nothing to put back.}"
        return
    fi
    if [ -z "$force" ]; then
        for item in $applied; do
            read_setting "${item%%=*}" || continue
            case $got in "${item#*=}" | offline) continue ;; esac
            means_same "${item%%=*}" "$got" "${item#*=}" ||
                fail "${item%%=*} reads $got, not ${item#*=}: another program set it since; --revert --force puts all back."
        done
    fi
    heed nothing
    put_back "$original" || fail "Not everything could be put back (wrong:$wrong): the originals stay in $state."
    rm -f "$state"
    heed default
    echo 'Put back and verified by reading back.'
}

command=set force='' recovered=''
case ${1:-} in
    --dry-run | --revert)
        command=$1
        shift
        if [ "$command" = --revert ] && [ "${1:-}" = --force ]; then
            force=yes
            shift
        fi
        [ "$#" -eq 0 ] || command=--help
        ;;
    --) shift ;;
    -*) command=--help ;;
esac
if [ "$command" = --help ]; then
    say "Usage: $0 [--dry-run | --revert [--force] | [--] COMMAND...]"
    [ "${1:-}" = --help ] || exit 2
    exit 0
fi
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail 'Run this as root.'
{ boot=$(cat "$root/proc/sys/kernel/random/boot_id"); } 2>/dev/null || boot=unknown
identify
if [ "$command" = --dry-run ]; then
    [ ! -e "$state.begun" ] || fail 'A script was killed in the middle of its work here: run this with --revert first.'
    look
else
    hold
    require_no_tuner
    look
    ! recover || recovered='Put back what a killed script left, and verified by reading back.'
fi
if [ "$command" = --revert ]; then
    revert
    exit 0
fi
set_all
[ "$command" != --dry-run ] || exit 0
