# --- this board: what it is, and where its files are -------------------------------------------------

debugfs=/sys/kernel/debug
bpmp=$debugfs/bpmp/debug
gpu='' gpu_power='' gpu_awake=''
emc_request='' emc_lock='' emc_rate='' emc_cap='' emc_levels=''
gbus_request='' gbus_lock='' gbus_rate='' gbus_levels=''

tree_text() { # name -> text: of the device tree, a blank after each part
    for tree in /proc/device-tree /sys/firmware/devicetree/base; do
        text=$({ tr '\000\n' '  ' <"$root$tree/$1"; } 2>/dev/null)
        [ -z "$text" ] || return 0
    done
}

identify() { # -> release; ends where this is another board
    tree_text model
    model=$text
    tree_text compatible
    compatible=" $text "
    soc=
    for word in $compatible; do
        case $word in nvidia,tegra*[!0-9]*) ;; nvidia,tegra[0-9]*) soc=$word ;; esac
    done
    if [ -z "$soc" ] && get /sys/module/tegra_fuse/parameters/tegra_chip_id; then
        case $got in 33 | 24 | 25 | 35) soc=$got ;; esac
    fi
    [ -n "$soc" ] || fail "This is no Jetson, and the profile is for board $board: nothing was changed."
    named=$compatible
    tree_text nvidia,dtsfilename
    named="$named $text"
    tree_text nvidia,boardids
    for word in $text; do named="$named p$(printf '%s' "$word" | tr ':' '-')"; done
    board_here
    [ "$here" = "$board" ] || fail "This board is $here ($model), and the profile is for $board: nothing was changed."
    release=$({ sed -n 's/^[^R]*R\([0-9]\{1,\}\).*REVISION:.*/\1/p' <"$root/etc/nv_tegra_release" | head -n 1; } 2>/dev/null)
}

look() { # -> policies, gpu, emc_*, gbus_*
    find_policies
    find_gbus
    [ -n "$gbus_request" ] || find_gpu
    find_emc
}

khz() { # path -> levels: in Hz, of a list in kHz
    numbers "$1" || return 1
    found=
    for level in $levels; do found="$found ${level}000"; done
    levels=${found# }
}

find_gbus() { # the GPU's clock of releases before devfreq
    clock=$debugfs/clock/override.gbus
    may_write "$clock/rate" && [ -e "$root$clock/rate" ] && khz "$debugfs/clock/gbus/possible_rates" || return 0
    gbus_request=$clock/rate gbus_lock=$clock/state gbus_rate=$debugfs/clock/gbus/rate gbus_levels=$levels
}

find_gpu() {
    for folder in "$root"/sys/class/devfreq/*; do
        name=${folder##*/}
        node=$({ tr -d '\000\n' <"$folder/device/of_node/name"; } 2>/dev/null) || node=
        [ -n "$node" ] || case $name in *.*) node=${name#*.} ;; esac
        case $node in
            gv11b | gp10b | ga10b | gb10b | gpu) ;;
            *) case $name in *gpu*) ;; *) continue ;; esac ;;
        esac
        folder=/sys/class/devfreq/$name
        may_write "$folder/max_freq" && numbers "$folder/available_frequencies" || return 0
        gpu=$folder
        gpu_levels=$levels
        find_gpu_power
        return 0
    done
}

find_gpu_power() {
    gpu_power='' gpu_awake=''
    for file in "$gpu/device/railgate_enable" "$gpu/device/power/control"; do
        { [ -e "$root$file" ] && may_write "$file"; } || continue
        gpu_power="$gpu_power $file"
        case $file in */railgate_enable) gpu_awake=$gpu_awake+0 ;; *) gpu_awake=$gpu_awake+on ;; esac
    done
    gpu_awake=${gpu_awake#+}
}

find_emc() {
    emc_cap='' emc_request=''
    for file in /sys/kernel/nvpmodel_clk_cap/emc /sys/kernel/nvpmodel_emc_cap/emc_iso_cap; do
        if [ -e "$root$file" ] && may_write "$file"; then
            emc_cap=$file
            break
        fi
    done
    folder=$bpmp/clk/emc
    if [ -e "$root$folder/rate" ]; then
        emc_request=$folder/rate emc_lock=$folder/mrq_rate_locked emc_rate=$folder/rate
    elif folder=$debugfs/clk/override.emc && [ -e "$root$folder/clk_update_rate" ]; then
        emc_request=$folder/clk_update_rate emc_lock=$folder/clk_state emc_rate=$folder/clk_rate
    elif folder=$debugfs/clock/override.emc && [ -e "$root$folder/rate" ]; then
        emc_request=$folder/rate emc_lock=$folder/state emc_rate=$debugfs/clock/emc/rate
    fi
    [ -n "$emc_request" ] || return 0
    find_emc_levels
    emc_levels=
    for level in $levels; do
        [ "$level" -lt "$emc_min_hz" ] || emc_levels="$emc_levels $level"
    done
    emc_levels=${emc_levels# }
    [ -n "$emc_levels" ] || emc_request=
}

find_emc_levels() { # -> levels
    ! khz "$bpmp/emc/possible_rates" || return 0
    ! khz "$debugfs/clock/emc/possible_rates" || return 0
    second='s/^[[:space:]]*[^[:space:]]\{1,\}[[:space:]]\{1,\}\([0-9]\{1,\}\)\([[:space:]].*\)*$/\1/p'
    levels=$({ sed -n "$second" <"$root$bpmp/clk/emc/dvfs" | sort -nu | tr '\n' ' '; } 2>/dev/null)
    [ -z "$levels" ] || return 0
    get "$debugfs/tegra_bwmgr/emc_min_rate" || return 0
    low=$got
    get "$debugfs/tegra_bwmgr/emc_max_rate" || return 0
    for level in $emc_candidates; do
        [ "$level" -lt "$low" ] || [ "$level" -gt "$got" ] || levels="$levels $level"
    done
}

# --- settings of the GPU and of clocks with a lock: `gpu/power` is a word a switch, a lock `free` or `fixed@RATE`

lock_of() { # domain -> request, lock, rate
    if [ "$1" = emc ]; then
        request=$emc_request lock=$emc_lock rate=$emc_rate
    else
        request=$gbus_request lock=$gbus_lock rate=$gbus_rate
    fi
}

read_more() { # name -> got
    case $1 in
        gpu/governor) get "$gpu/governor" ;;
        gpu/limits) get_limits "$gpu/min_freq" "$gpu/max_freq" ;;
        gpu/power)
            joined=
            for file in $gpu_power; do
                get "$file" || return 1
                joined=$joined+$got
            done
            got=${joined#+}
            ;;
        emc/cap) get "$emc_cap" ;;
        *)
            lock_of "${1%/*}"
            get "$lock" || return 1
            if [ "$got" = 0 ]; then
                got=free
            else
                get "$rate" || return 1
                got=fixed@$got
            fi
            ;;
    esac
}

write_more() { # name value
    case $1 in
        gpu/governor) put "$gpu/governor" "$2" ;;
        gpu/limits) put_limits "$gpu/min_freq" "$gpu/max_freq" "$2" ;;
        gpu/power)
            switches=$2+
            for file in $gpu_power; do
                put "$file" "${switches%%+*}" || return 1
                switches=${switches#*+}
            done
            ;;
        emc/cap) put "$emc_cap" "$2" ;;
        *)
            lock_of "${1%/*}"
            # A lock in force holds its old rate against a new request: let go first.
            if { get "$lock" && [ "$got" != 0 ]; } || [ "$2" = free ]; then put "$lock" 0 || return 1; fi
            [ "$2" = free ] || { put "$request" "${2#fixed@}" && put "$lock" 1; }
            ;;
    esac
}

more_files() { # name -> files
    case $1 in
        gpu/governor) files=$gpu/governor ;;
        gpu/limits) files="$gpu/min_freq $gpu/max_freq" ;;
        gpu/power) files=$gpu_power ;;
        emc/cap) files=$emc_cap ;;
        *)
            lock_of "${1%/*}"
            files="$request $lock"
            ;;
    esac
}

wakes_gpu() { # list
    [ -n "$gpu" ] && value_of gpu/power "$1" && [ "$value" = "$gpu_awake" ]
}

ends_of() { # list -> first, last
    first=${1%% *}
    last=${1##* }
}

is_old_cap() { # in the old file 0 is no cap, in the new one it is the lowest rate
    case $emc_cap in */emc_iso_cap) return 0 ;; esac
    return 1
}

raises_cap() { # list
    value_of emc/cap "$1" && get "$emc_cap" || return 1
    if is_old_cap; then
        [ "$value" -eq 0 ] || { [ "$got" -ne 0 ] && [ "$value" -gt "$got" ]; }
    else
        [ "$value" -gt "$got" ]
    fi
}

cap_level() { # number -> cap: the highest rate that such a cap allows
    ends_of "$emc_levels"
    cap=$first
    if is_old_cap && [ "$1" -eq 0 ]; then
        cap=$last
        return
    fi
    for level in $emc_levels; do
        [ "$level" -gt "$1" ] || cap=$level
    done
}

means_same() { # name text text: caps are compared by what they allow
    [ "$1" = emc/cap ] && is_number "$2" && is_number "$3" || return 1
    cap_level "$2"
    allowed=$cap
    cap_level "$3"
    [ "$cap" = "$allowed" ]
}
