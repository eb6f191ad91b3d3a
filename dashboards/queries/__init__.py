"""The SQL of each page: one module a page, bare table names, `$name` for values; `dashboards.data` runs it."""
