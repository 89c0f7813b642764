# --- the originals, in a file that is complete before the first write -------------------------------

save() { # file original applied
    body="tuner-profile:1 board:$board boot:$boot"
    for item in $related; do body="$body related:$item"; done
    for item in $2; do body="$body original:$item"; done
    for item in $3; do body="$body applied:$item"; done
    sum=$(printf '%s' "$body" | cksum) || return 1
    { printf '%s\n%s\n' "$body" "$sum" >"$1.new" && mv -f "$1.new" "$1"; } 2>/dev/null && return
    rm -f "$1.new"
    return 1
}

load() { # file -> original, applied; false where there is none of this boot
    original='' applied=''
    [ -e "$1" ] || return 1
    content=$(cat "$1") || fail "$1 cannot be read, so nothing was changed."
    body=${content%
*}
    [ "${content#"$body"
}" = "$(printf '%s' "$body" | cksum)" ] ||
        fail "$1 is damaged and the originals in it cannot be trusted: nothing was changed, a restart forgets it all."
    for item in $body; do
        case $item in
            tuner-profile:1) ;;
            board:*)
                [ "${item#*:}" = "$board" ] || fail "$1 is of board ${item#*:}, not of $board: nothing was changed."
                ;;
            boot:*)
                [ "${item#*:}" = "$boot" ] || return 1 # a restart since then forgot those settings by itself
                ;;
            related:*) related="$related ${item#*:}" ;;
            original:*) original="$original ${item#*:}" ;;
            applied:*) applied="$applied ${item#*:}" ;;
            *) fail "$1 is of another version: nothing was changed." ;;
        esac
    done
}

add() { # list more -> sum: the list, and what only `more` names
    sum=$1
    for item in $2; do
        value_of "${item%%=*}" "$1" || sum="$sum $item"
    done
}

hold() { # the board is ours until the end
    folder=${state%/*}
    [ -d "$folder" ] || mkdir -p "$folder" 2>/dev/null ||
        fail "$folder cannot be made: name a file for the originals in TUNER_STATE."
    [ -r "$folder" ] || fail "$folder cannot be read: name a file for the originals in TUNER_STATE."
    exec 9<"$folder"
    ! command -v flock >/dev/null || flock -n 9 || fail "Another such script is at work: nothing was changed."
}

require_no_tuner() { # a session of tuner has this machine, or was killed while it set it
    lock=${TUNER_LOCK_DIR:-/run/tuner-lock}/this-machine.lock
    { [ -z "$root" ] && [ -s "$lock" ]; } || return 0
    owner='' journal=''
    { read -r owner && read -r journal; } <"$lock" # whose last line has no end
    is_number "$owner" || return 0
    case $({ tr '\000' ' ' <"/proc/$owner/cmdline"; } 2>/dev/null) in
        *tuner*) fail "A tuner (process $owner) has this machine: nothing was changed." ;;
    esac
    [ ! -e "$journal" ] || fail "A tuner was killed while it set this machine: put it back first, with 'tuner restore'."
}

recover() { # what a script left that was killed between its first write and its last
    if ! load "$state.begun"; then
        rm -f "$state.begun"
        return 1
    fi
    begun=$original
    heed nothing
    put_back "$begun" || fail "What a killed script left cannot all be put back (wrong:$wrong)."
    rm -f "$state.begun"
    heed default
    look # CPUs that were offline have clocks again
}

# --- the commands ---------------------------------------------------------------------------------------

leave() { # at every exit: what was begun and not finished is put back
    status=$?
    if [ "$phase" = setting ]; then
        phase=leaving
        if put_back "$before"; then
            if [ -n "$earlier" ]; then save "$state" "$earlier" "$earlier_applied"; else rm -f "$state"; fi
            rm -f "$state.begun"
            say "${why:-Interrupted.} Everything is as it was before."
        else
            say "${why:-Interrupted.} Not everything could be put back (wrong:$wrong): run this with --revert."
        fi
    fi
    exit "$status"
}

set_all() {
    load "$state" || original=''
    earlier=$original earlier_applied=$applied
    plan
    todo=
    before=
    for item in $wanted; do
        read_setting "${item%%=*}" || fail "${item%%=*} cannot be read: nothing was changed."
        before="$before ${item%%=*}=$got"
        case $got in "${item#*=}") continue ;; esac
        means_same "${item%%=*}" "$got" "${item#*=}" || todo="$todo ${item%%=*}:$got:${item#*=}"
    done
    require_files "$wanted"
    if [ "$command" = --dry-run ]; then
        for item in $todo; do
            name=${item%%:*} item=${item#*:}
            printf '%s: %s -> %s\n' "$name" "${item%:*}" "${item##*:}"
        done
        [ -n "$todo" ] || echo 'Everything is set already.'
        return
    fi
    [ -n "$todo" ] || return 0
    trap leave EXIT
    for signal in $signals; do
        # shellcheck disable=SC2064
        trap "why='Stopped by SIG${signal%:*}.'; end ${signal#*:}" "${signal%:*}"
    done
    save "$state.begun" "$before" '' ||
        fail "The originals cannot be kept in $state: nothing was changed; name another file in TUNER_STATE."
    phase=setting
    write_all "$wanted" strict || end 1
    require_held "$wanted"
    add "$earlier" "$before"
    originals=$sum
    add "$wanted" "$earlier_applied"
    save "$state" "$originals" "$sum" || fail_later "The originals cannot be kept in $state."
    rm -f "$state.begun"
    phase=finished
    trap - EXIT
    heed default
}
