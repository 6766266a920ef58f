-- expect: forbidden
table.remove(bit)
