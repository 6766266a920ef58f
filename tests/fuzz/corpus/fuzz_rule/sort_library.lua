-- expect: forbidden
table.sort(math)
