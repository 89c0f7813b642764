# --- this machine: CPUs, and the clocks of all of them alike ----------------------------------------

identify() { :; } # any machine that has the files and the levels
may_write() { return 0; }
wakes_gpu() { return 1; }
raises_cap() { return 1; }
means_same() { return 1; }
read_more() { return 1; }
write_more() { return 1; }
more_files() { files=; }

look() {
    find_policies
    expand "$(cat "$root$cpus/present" 2>/dev/null)" || fail "$cpus/present does not say which CPUs there are."
    present=$list
}

plan() { # -> wanted
    wanted=''
    after=$present
    [ -z "$cpus_online" ] || plan_cpus
    for number in $policies; do plan_policy "policy$number"; done
    [ -n "$policies" ] || [ -z "$cpu_governor$cpu_max_freq_khz" ] ||
        fail 'The kernel offers no frequency control here (no cpufreq policy): nothing was changed.'
}

plan_cpus() {
    for cpu in $cpus_online; do
        is_in "$cpu" "$present" || fail "This machine has no CPU $cpu (it has $present): nothing was changed."
    done
    for cpu in $present; do
        on=0
        ! is_in "$cpu" "$cpus_online" || on=1
        [ "$cpu" -ne 0 ] || continue
        if [ -e "$root$cpus/cpu$cpu/online" ]; then
            wanted="$wanted cpu$cpu/online=$on"
        elif [ "$on" -eq 0 ]; then
            fail "CPU $cpu cannot be taken offline here: nothing was changed."
        fi
    done
    after=$cpus_online
}

plan_policy() { # policy
    cpus_of "$1"
    stays=
    for core in $list; do
        if is_in "$core" "$after" && { [ -n "$cpus_online" ] || is_online "$core"; }; then stays=yes; fi
    done
    if [ -z "$stays" ]; then # it goes to sleep, and may forget its settings then
        for knob in governor max; do
            ! read_setting "$1/$knob" || wanted="$wanted $1/$knob=$got"
        done
        return
    fi
    folder=$cpus/cpufreq/$1
    if [ -n "$cpu_governor" ]; then
        if words_of "$folder/scaling_available_governors"; then
            is_in "$cpu_governor" "$words" || fail "$1 has no governor $cpu_governor (it has $words): nothing was changed."
        fi
        wanted="$wanted $1/governor=$cpu_governor"
    fi
    [ -z "$cpu_max_freq_khz" ] || plan_max "$1" "$folder"
}

plan_max() { # policy folder
    if numbers "$2/scaling_available_frequencies"; then
        is_in "$cpu_max_freq_khz" "$levels" ||
            fail "$1 has no level of $cpu_max_freq_khz kHz (it has $levels): nothing was changed."
    elif get "$2/cpuinfo_min_freq" && low=$got && get "$2/cpuinfo_max_freq"; then
        { [ "$cpu_max_freq_khz" -ge "$low" ] && [ "$cpu_max_freq_khz" -le "$got" ]; } ||
            fail "$1 goes from $low to $got kHz, not to $cpu_max_freq_khz: nothing was changed."
    fi
    wanted="$wanted $1/max=$cpu_max_freq_khz"
}
