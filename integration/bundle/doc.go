// Package bundle makes OCI bundles and pod bundles for tests.
package bundle
