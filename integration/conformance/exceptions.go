package main

// exceptions are the tests that runc passes and podrt need not, each with its
// reason.
var exceptions = map[key]string{}
