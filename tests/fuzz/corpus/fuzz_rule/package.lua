-- expect: forbidden
package.loadlib("/lib/libc.so.6", "system")
