-- expect: forbidden
module("x", package.seeall)
