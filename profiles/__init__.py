"""Board and stock-mode files, found alike from a wheel and from a checkout."""
