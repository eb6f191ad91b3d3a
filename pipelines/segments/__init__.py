"""Segments that people build: a tree of conditions, compiled to SQL with bound values, saved with its versions.

`definition` checks the tree, `compiler` makes the SQL, `catalogue` knows the columns, `saved` keeps the versions,
`published` brings them into the marts. What RFM makes by itself is dbt's.
"""
