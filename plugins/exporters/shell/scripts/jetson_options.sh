# --- options as settings ----------------------------------------------------------------------------------

cannot() { # option reason
    fail "Option $1 cannot be set: $2. Nothing was changed."
}

plan() { # -> wanted
    wanted='' known='' after=''
    expand "$(cat "$root$cpus/present" 2>/dev/null)" || fail "$cpus/present does not say which CPUs there are."
    present=$list
    for cpu in $present; do ! is_online "$cpu" || after="$after $cpu"; done
    find_clocked
    for group in $groups; do plan_cores "$group"; done
    place=0
    for number in $policies; do
        plan_cluster "$number" "$place"
        place=$((place + 1))
    done
    [ -z "$gpu" ] || plan_gpu
    [ -z "$gbus_request" ] || plan_lock gpu gpu_freq_hz gpu_governor dvfs "$gbus_levels" ''
    [ -z "$emc_request" ] || plan_lock emc emc_freq_hz emc_governor bwmgr "$emc_levels" "$emc_cap"
    for item in $options; do
        is_in "${item%%=*}" "$known" ||
            cannot "${item%%=*}" 'the board does not offer it now (its cores are offline, or debugfs is not mounted)'
    done
}

find_clocked() { # -> clocked: CPUs of policies that tell the levels of their clock
    clocked=
    for number in $policies; do
        { value_of "policy$number" "$related" && expand "$value"; } || continue
        ! numbers "$cpus/cpufreq/policy$number/scaling_available_frequencies" || clocked="$clocked $list"
    done
}

plan_cores() { # group: option:minimum:cpus in the order in which they come online
    name=${1%%:*} minimum=${1#*:}
    minimum=${minimum%%:*}
    members=$present
    [ -z "${1##*:}" ] || members=$(printf '%s' "${1##*:}" | tr ',' ' ')
    value_of "$name" "$options" || return 0
    count=$value usable=
    for cpu in $members; do
        is_in "$cpu" "$present" || continue
        if [ "$cpu" -eq 0 ] || { [ -e "$root$cpus/cpu$cpu/online" ] && is_in "$cpu" "$clocked"; }; then
            usable="$usable $cpu"
        fi
    done
    place=0 switches=
    for cpu in $usable; do
        on=0
        [ "$place" -ge "$count" ] || on=1
        place=$((place + 1))
        remaining=
        for other in $after; do [ "$other" = "$cpu" ] || remaining="$remaining $other"; done
        after=$remaining
        [ "$on" -eq 0 ] || after="$after $cpu"
        [ "$cpu" -eq 0 ] || switches="$switches cpu$cpu/online=$on"
    done
    [ "$place" -gt "$minimum" ] || cannot "$name" 'its cores cannot be switched now'
    { [ "$count" -le "$place" ] && [ "$count" -ge "$minimum" ]; } ||
        cannot "$name" "$count is not from $minimum to $place, the number of its cores now"
    wanted="$wanted$switches" known="$known $name"
}

plan_cluster() { # number place
    domain=policy$1 folder=$cpus/cpufreq/policy$1
    if ! value_of "$1" "$cluster_names"; then
        value=cpu
        [ "$2" -eq 0 ] || value=cpu_cluster$2
    fi
    prefix=$value
    value_of "$domain" "$related" && numbers "$folder/scaling_available_frequencies" || return 0
    cluster_levels=$levels
    cpus_of "$domain"
    stays=
    for core in $list; do ! is_in "$core" "$after" || stays=yes; done
    if [ -z "$stays" ]; then
        has_core "$domain" '' || return 0
        for knob in governor limits; do # it goes to sleep, and may forget its settings then
            read_setting "$domain/$knob" || fail "$domain/$knob cannot be read: nothing was changed."
            wanted="$wanted $domain/$knob=$got"
        done
        return
    fi
    words_of "$folder/scaling_available_governors" || return 0
    plan_clock "$domain" "${prefix}_freq_khz" "${prefix}_governor" "$cluster_levels" ''
}

plan_gpu() {
    words_of "$gpu/available_governors" || return 0
    plan_clock gpu gpu_freq_hz gpu_governor "$gpu_levels" "$gpu_power"
}

level_of() { # option levels present -> level
    level=$3
    value_of "$1" "$options" || return 0
    level=$value
    is_in "$level" "$2" || cannot "$1" "$level is none of its levels ($2)"
}

at_level() { # limit levels -> level: a limit may lie between two levels; a clock is held at a level
    level=${2%% *}
    for one in $2; do [ "$one" -gt "$1" ] || level=$one; done
}

first_found() { # name -> got: what a setting was before any such script, where one has set it
    ! value_of "$1" "$earlier" || got=$value
}

plan_clock() { # domain freq governor levels power; words: the governors
    known="$known $2 $3"
    value_of "$2" "$options" || value_of "$3" "$options" || return 0
    read_setting "$1/governor" || cannot "$2" "$1/governor cannot be read"
    found_governor=$got
    { read_setting "$1/limits" && is_number "${got%-*}"; } || cannot "$2" "$1/limits cannot be read"
    level_of "$2" "$4" "${got#*-}"
    first_found "$1/limits"
    low=${got%-*} high=${got#*-}
    governor=fixed
    ! value_of "$3" "$options" || governor=$value
    if [ -n "$5" ]; then
        power=$gpu_awake
        if [ "$governor" != fixed ]; then
            read_setting gpu/power || cannot "$3" 'the power switches of the GPU cannot be read'
            first_found gpu/power
            power=$got
        fi
        wanted="$wanted gpu/power=$power"
    fi
    if [ "$governor" = fixed ]; then
        at_level "$level" "$4"
        wanted="$wanted $1/limits=$level-$level"
        return
    fi
    is_in "$governor" "$words" || cannot "$3" "the kernel offers $words, not $governor"
    case $governor in
        userspace | performance) [ "$governor" = "$found_governor" ] || cannot "$3" "$governor is none of its levels" ;;
    esac
    ends_of "$4"
    [ "$low" -ne "$high" ] || low=$first # pinned: nothing is known of the minimum but the table's end
    [ "$low" -le "$level" ] || low=$level
    wanted="$wanted $1/governor=$governor $1/limits=$low-$level"
}

plan_lock() { # domain freq governor free levels cap
    known="$known $2 $3"
    value_of "$2" "$options" || value_of "$3" "$options" || return 0
    governor=fixed
    ! value_of "$3" "$options" || governor=$value
    [ "$governor" = fixed ] || [ "$governor" = "$4" ] || cannot "$3" "it can be fixed or $4, not $governor"
    read_setting "$1/lock" || cannot "$2" 'its lock cannot be read'
    held=$got
    ends_of "$5"
    cap=$last
    if [ -n "$6" ]; then
        { get "$6" && is_number "$got"; } || cannot "$2" "$6 cannot be read"
        cap_level "$got"
    fi
    now=$cap
    case $held in fixed@*) now=${held#fixed@} ;; esac
    if [ "$governor" = fixed ] || [ -n "$6" ]; then level_of "$2" "$5" "$now"; fi
    if [ "$governor" = fixed ]; then
        wanted="$wanted $1/lock=fixed@$level"
    else
        wanted="$wanted $1/lock=free"
    fi
    [ -n "$6" ] || return 0
    if [ "$cap" -lt "$level" ] || { [ "$cap" -gt "$level" ] && [ "$governor" != fixed ]; }; then
        if [ "$level" -lt "$last" ]; then
            wanted="$wanted $1/cap=$level"
        elif is_old_cap; then
            wanted="$wanted $1/cap=0"
        else
            wanted="$wanted $1/cap=9223372036854775807"
        fi
    fi
}
