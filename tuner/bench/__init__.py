"""Claims checked on measured tables: how fast strategies find the optimum, how well their models predict.

Nothing here is a device or a session: a strategy is run over a table's rows, without baseline and stock modes.
"""
