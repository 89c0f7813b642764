"""What an environment taught: read from tables, studies and source files; learn, compare, write."""
