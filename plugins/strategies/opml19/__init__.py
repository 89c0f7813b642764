"""The strategies of the study (Iqbal et al., OpML'19): `gs`, `dm`, `lms` and `nlms`."""
