package postgres

// Name is the database's.
func (l *Ledger) Name() string { return l.pool.Config().ConnConfig.Database }
