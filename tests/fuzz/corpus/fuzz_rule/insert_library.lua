-- expect: forbidden
table.insert(table, 1)
