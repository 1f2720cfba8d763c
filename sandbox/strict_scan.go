package sandbox

import (
	"bytes"
	"encoding/json"
	"strings"
)

// between is what may stand between two values of a document, besides brackets.
const between = " \t\r\n,:"

// jsonScan reads a document that is known to be JSON, value by value.
// json.Decoder.Token would hold each byte against the grammar once more: with it
// a config.json takes twice as long to decode.
type jsonScan struct {
	data []byte
	off  int // of the next byte
}

// peek goes to the next value, key or closing bracket and returns its first byte.
func (s *jsonScan) peek() byte {
	for {
		switch c := s.data[s.off]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			s.off++
		default:
			return c
		}
	}
}

// open goes into the object or array that is next.
func (s *jsonScan) open() {
	s.peek()
	s.off++
}

// closed tells whether the object or array has no more members, and leaves it
// if so.
func (s *jsonScan) closed() bool {
	if c := s.peek(); c != '}' && c != ']' {
		return false
	}
	s.off++
	return true
}

// scalar returns the next value, which is no object and no array, as it stands.
func (s *jsonScan) scalar() []byte {
	quoted := s.peek() == '"'
	start := s.off
	if quoted {
		for s.off++; s.data[s.off] != '"'; s.off++ {
			if s.data[s.off] == '\\' {
				s.off++
			}
		}
		s.off++
		return s.data[start:s.off]
	}
	for s.off < len(s.data) && strings.IndexByte(between+"]}", s.data[s.off]) < 0 {
		s.off++
	}
	return s.data[start:s.off]
}

// text returns the next value, which is a string.
func (s *jsonScan) text() string {
	raw := s.scalar()
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	_ = json.Unmarshal(raw, &text)
	return text
}

// skip goes behind the next value.
func (s *jsonScan) skip() {
	for depth := 0; ; {
		switch s.peek() {
		case '{', '[':
			depth++
			s.off++
		case '}', ']':
			depth--
			s.off++
		default:
			s.scalar()
		}
		if depth == 0 {
			return
		}
	}
}
