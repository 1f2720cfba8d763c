package manifest

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxExpanded is how many bytes of scalars a document may have with its aliases
// replaced by what they stand for.
const maxExpanded = 4 * MaxManifest

// checkAliases refuses a document that is much larger than it is written: the decoder
// counts what aliases repeat, but not how long it is.
func checkAliases(doc []byte) error {
	if !bytes.ContainsRune(doc, '&') || !bytes.ContainsRune(doc, '*') {
		return nil // none of them
	}
	var root yaml.Node
	if err := yaml.Unmarshal(doc, &root); err != nil {
		return nil // the decoder says it better
	}
	if expandedSize(&root, map[*yaml.Node]int{}) > maxExpanded {
		return fmt.Errorf("has more than %d bytes with its aliases", maxExpanded)
	}
	return nil
}

// expandedSize is how many bytes the scalars of a node have, or more than maxExpanded.
// known are the sizes of nodes that aliases may lead to.
func expandedSize(n *yaml.Node, known map[*yaml.Node]int) int {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if size, ok := known[n]; ok {
		return size
	}
	known[n] = maxExpanded + 1 // of one that has itself in it
	size := len(n.Value) + 1
	for _, part := range n.Content {
		size = min(size+expandedSize(part, known), maxExpanded+1)
	}
	known[n] = size
	return size
}
