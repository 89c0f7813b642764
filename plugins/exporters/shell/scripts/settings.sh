# --- settings: what is read, written, kept and put back, each by a name -----------------------------
# Lists are words `name=value`. Functions leave what they found in a variable that their comment names.

root=${TUNER_SYSROOT:-}
root=${root%/}
state=${TUNER_STATE:-$root/run/tuner-profile}
cpus=/sys/devices/system/cpu
signals='HUP:129 INT:130 QUIT:131 USR1:138 USR2:140 PIPE:141 ALRM:142 TERM:143'
phase=checking
related='' why=''

say() {
    printf '%s\n' "$*" >&2
}

heed() { # nothing, or default: what signals do from now on
    for signal in $signals; do
        if [ "$1" = nothing ]; then trap '' "${signal%:*}"; else trap - "${signal%:*}"; fi
    done
}

end() { # status: leave, and let nothing interrupt what `leave` does
    heed nothing
    exit "$1"
}

fail() { # sentence
    say "$*"
    end 1
}

get() { # path -> got
    got=$(cat "$root$1" 2>/dev/null) && [ -n "$got" ]
}

put() { # path value
    [ -e "$root$1" ] && { printf '%s\n' "$2" >"$root$1"; } 2>/dev/null
}

is_number() { # text
    case $1 in '' | *[!0-9]*) return 1 ;; esac
}

is_in() { # word list
    case " $2 " in *" $1 "*) return 0 ;; esac
    return 1
}

value_of() { # name list -> value
    for pair in $2; do
        [ "${pair%%=*}" = "$1" ] || continue
        value=${pair#*=}
        return 0
    done
    return 1
}

numbers() { # path -> levels: ascending
    levels=$({ tr -cs '0-9' '\n' <"$root$1" | sort -nu | tr '\n' ' '; } 2>/dev/null)
    levels=${levels# }
    levels=${levels% }
    [ -n "$levels" ]
}

words_of() { # path -> words
    get "$1" || return 1
    words=$(printf '%s' "$got" | tr -s '\t\n ' ' ')
    words=${words% }
}

expand() { # kernel's list of CPUs, such as 0,2-3 -> list
    list=
    for part in $(printf '%s' "$1" | tr ',' ' '); do
        low=${part%%-*} high=${part##*-}
        is_number "$low" && is_number "$high" || return 1
        while [ "$low" -le "$high" ]; do
            list="$list $low"
            low=$((low + 1))
        done
    done
    list=${list# }
    [ -n "$list" ]
}

find_policies() { # -> policies: numbers in order; related: the CPUs of each that tells them
    policies=
    for folder in "$root$cpus"/cpufreq/policy[0-9] "$root$cpus"/cpufreq/policy[0-9][0-9] \
        "$root$cpus"/cpufreq/policy[0-9][0-9][0-9]; do
        [ -d "$folder" ] || continue
        policies="$policies ${folder##*/policy}"
        if ! value_of "${folder##*/}" "$related" && words_of "$cpus/cpufreq/${folder##*/}/related_cpus"; then
            related="$related ${folder##*/}=$(printf '%s' "$words" | tr -s ' ,' ',')"
        fi
    done
}

cpus_of() { # policy -> list
    if value_of "$1" "$related"; then
        expand "$value"
    else
        list=${1#policy}
    fi
}

is_online() { # cpu: one without a switch is
    [ -e "$root$cpus/cpu$1/online" ] || return 0
    get "$cpus/cpu$1/online" && [ "$got" = 1 ]
}

has_core() { # policy list: whether a CPU of it is online, or in the list
    cpus_of "$1"
    for core in $list; do
        if is_in "$core" "$2" || is_online "$core"; then return 0; fi
    done
    return 1
}

get_limits() { # minimum's path, maximum's path -> got
    get "$1" || return 1
    low=$got
    get "$2" || return 1
    high=$got
    is_number "$low" && is_number "$high" || return 1
    [ "$low" -le "$high" ] || { get "$1" && low=$got; } # another program may write between the two
    [ "$low" -le "$high" ] || low=$high
    got=$low-$high
}

put_limits() { # minimum's path, maximum's path, limits: in the order that no kernel refuses
    get "$2" && is_number "$got" || return 1
    if [ "${3#*-}" -ge "$got" ]; then
        put "$2" "${3#*-}" && put "$1" "${3%-*}"
    else
        put "$1" "${3%-*}" && put "$2" "${3#*-}"
    fi
}

read_policy() { # name -> got
    policy=$cpus/cpufreq/${1%/*}
    case $1 in
        */governor) get "$policy/scaling_governor" ;;
        */max) get "$policy/scaling_max_freq" ;;
        *) get_limits "$policy/scaling_min_freq" "$policy/scaling_max_freq" ;;
    esac
}

read_setting() { # name -> got: `offline` for a policy without a CPU that does not answer
    case $1 in
        cpu*) get "$cpus/$1" ;;
        policy*)
            read_policy "$1" && return
            has_core "${1%/*}" '' && return 1
            got=offline
            ;;
        *) read_more "$1" ;;
    esac
}

write_setting() { # name value
    [ "$2" != offline ] || return 0
    policy=$cpus/cpufreq/${1%/*}
    case $1 in
        cpu0/*) return 1 ;;
        cpu*) { get "$cpus/$1" && [ "$got" = "$2" ]; } || put "$cpus/$1" "$2" ;;
        policy*/governor) put "$policy/scaling_governor" "$2" ;;
        policy*/max) put "$policy/scaling_max_freq" "$2" ;;
        policy*) put_limits "$policy/scaling_min_freq" "$policy/scaling_max_freq" "$2" ;;
        *) write_more "$1" "$2" ;;
    esac
}

files_of() { # name -> files: what is written for a setting
    policy=$cpus/cpufreq/${1%/*}
    case $1 in
        cpu*) files=$cpus/$1 ;;
        policy*/governor) files=$policy/scaling_governor ;;
        policy*/max) files=$policy/scaling_max_freq ;;
        policy*) files="$policy/scaling_min_freq $policy/scaling_max_freq" ;;
        *) more_files "$1" ;;
    esac
}

require_files() { # list: every file is there, declared, and can be opened for writing
    for item in $1; do
        name=${item%%=*}
        case $name in policy*) has_core "${name%/*}" '' || continue ;; esac
        files_of "$name"
        for file in $files; do
            [ -e "$root$file" ] || fail "There is no $file: this is another board or another kernel."
            may_write "$file" || fail "$file is not declared as writable for this board and its release."
            { true >>"$root$file"; } 2>/dev/null || fail "$file may not be written: run this as root, with /sys writable."
        done
    done
}

# --- in an order that no kernel refuses: CPUs on, clocks, CPUs off -----------------------------------

step() { # name list strict
    value_of "$1" "$2" || return 0
    write_setting "$1" "$value" && return
    [ -z "$3" ] && return
    why="$1 cannot be set to $value."
    return 1
}

wake_for() { # policy list strict: some kernels show the limits of a sleeping cluster, none takes new ones
    wanting=
    for knob in governor limits max; do
        value_of "$1/$knob" "$2" || continue
        read_setting "$1/$knob" && case $got in "$value" | offline) continue ;; esac
        wanting="$wanting $1/$knob"
    done
    [ -n "$wanting" ] || return 0
    cpus_of "$1"
    for core in $list; do
        value_of "cpu$core/online" "$2" || continue
        put "$cpus/cpu$core/online" 1
        for knob in $wanting; do step "$knob" "$2" "$3" || return 1; done
        put "$cpus/cpu$core/online" 0
        return
    done
    for knob in $wanting; do step "$knob" "$2" "$3" || return 1; done
}

write_all() { # list [strict]: strict ends at the first refusal, which `why` then says
    ups='' downs='' sleepers='' sequence='' domains=''
    for item in $1; do
        name=${item%%=*}
        number=${name%%/*} number=${number#cpu}
        case $item in
            cpu*=1) is_online "$number" || ups="$ups $number" ;;
            cpu*=0) ! is_online "$number" || downs="$name $downs" ;;
            policy*) is_in "${name%/*}" "$domains" || domains="$domains ${name%/*}" ;;
        esac
    done
    for number in $ups; do sequence="$sequence cpu$number/online"; done
    ! wakes_gpu "$1" || sequence="$sequence gpu/power"
    for domain in $domains; do
        if has_core "$domain" "$ups"; then
            sequence="$sequence $domain/governor $domain/limits $domain/max"
        else
            sleepers="$sleepers $domain"
        fi
    done
    sequence="$sequence gpu/governor gpu/limits gpu/lock"
    if raises_cap "$1"; then sequence="$sequence emc/cap emc/lock"; else sequence="$sequence emc/lock emc/cap"; fi
    wakes_gpu "$1" || sequence="$sequence gpu/power"
    for domain in $sleepers; do wake_for "$domain" "$1" "${2:-}" || return 1; done
    for name in $sequence $downs; do step "$name" "$1" "${2:-}" || return 1; done
}

find_wrong() { # list -> wrong: what does not read as it should
    wrong=
    for item in $1; do
        if read_setting "${item%%=*}"; then
            case $got in "${item#*=}" | offline) continue ;; esac
        fi
        wrong="$wrong $item"
    done
    [ -z "$wrong" ]
}

put_back() { # list: all together, then one by one forwards and backwards, then all together again
    write_all "$1"
    for direction in forwards backwards; do
        ! find_wrong "$1" || return 0
        turned=
        for item in $wrong; do
            if [ "$direction" = forwards ]; then turned="$turned $item"; else turned="$item $turned"; fi
        done
        for item in $turned; do write_setting "${item%%=*}" "${item#*=}"; done
    done
    write_all "$1"
    find_wrong "$1"
}

require_held() { # list: read back, all of it
    for item in $1; do
        name=${item%%=*}
        read_setting "$name" || fail_later "$name cannot be read back."
        case $got in "${item#*=}" | offline) continue ;; esac
        means_same "$name" "$got" "${item#*=}" || fail_later "$name was set to ${item#*=} but reads $got."
    done
}

fail_later() { # sentence: said when everything is put back
    why=$1
    end 1
}
