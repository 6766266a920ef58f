-- expect: forbidden
os.execute("true")
