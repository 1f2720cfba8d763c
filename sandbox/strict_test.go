package sandbox

import (
	"errors"
	"strings"
	"testing"
)

// strictSample has what PodSpec has not.
type strictSample struct {
	Small  int8 `json:"small,omitempty"`
	Untold string
	Hidden string `json:"-"`
	strictEmbedded
	Float float32          `json:"float,omitempty"`
	Any   any              `json:"any,omitempty"`
	Deep  map[string][]int `json:"deep,omitempty"`
}

type strictEmbedded struct {
	Inner uint8 `json:"inner,omitempty"`
}

func TestDecodeJSON(t *testing.T) {
	for _, c := range []struct {
		mode     jsonMode
		in, want string
		ok       bool
	}{
		{jsonStrict, `{"Untold": "x", "small": -128, "inner": 255, "float": 1e3, "any": [null, {"a": {}}], "deep": {"a": [1], "": []}}`, "", true},
		{
			jsonStrict, `{"Untold": "x", "small": 128, "inner": 256, "float": 1e39}`,
			"small: 128: must be an integer from -128 to 127\ninner: 256: must be an integer from 0 to 255\nfloat: 1e39: must be a number", false,
		},
		{
			jsonStrict, `{"Hidden": "x", "deep": {"a": [1, [2]], "b": null}}`,
			"Hidden: \"x\": unknown field; known here: small, Untold, inner, float, any, deep\n" +
				"deep.a[1]: [2]: must be an integer of 64 bits\ndeep.b: null: must be an array\nUntold: required", false,
		},
		{jsonStrict, `{}`, "Untold: required", true},
		{jsonOCI, `{"HIDDEN": 1, "deep": null}`, "", true},
		{jsonOCI, "{\n \"small\": 1,\n \"ü\": ]}", "line 3, column 7: not JSON: invalid character ']' looking for beginning of value", false},
	} {
		var ps problems
		ok := decodeJSON(&ps, []byte(c.in), 1000, c.mode, new(strictSample))
		got := ""
		if err := ps.err(); err != nil {
			got = err.Error()
		}
		if got != c.want || ok != c.ok {
			t.Errorf("decodeJSON(%s) = %v, with\n%s\nwant %v, with\n%s", c.in, ok, got, c.ok, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	ps := problems{file: "f"}
	ps.addf("a.b", "first")
	ps.addf("a.b.c", "below")
	ps.addf("a.b[1]", "below")
	ps.addf("a.b", "again")
	ps.addf("a.bc", "another")
	ps.addf("a", "above")
	if want := "f: a.b: first\nf: a.bc: another\nf: a: above"; ps.err().Error() != want {
		t.Errorf("problems are\n%v\nwant\n%s", ps.err(), want)
	}

	ps = problems{}
	if err := ps.err(); err != nil {
		t.Errorf("err() of no problems = %v; want nil", err)
	}
	for i := range maxProblems + 5 {
		ps.addf(indexPath("list", i), "%s", strings.Repeat("x", 2*maxLine))
	}
	err := ps.err()
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxProblems+1 || lines[maxProblems] != "5 more errors" {
		t.Errorf("%d lines, the last %q; want %d and 5 more errors", len(lines), lines[len(lines)-1], maxProblems+1)
	}
	var field *FieldError
	if !errors.As(err, &field) || field.Path != "list[0]" || len(field.Problem) != maxLine+len("…") {
		t.Errorf("first problem is %+v; want list[0] of %d bytes", field, maxLine)
	}
	if again := ps.err(); again.Error() != err.Error() {
		t.Errorf("err() gives\n%v\nthe second time; want\n%v", again, err)
	}
}

func TestMemberPath(t *testing.T) {
	for _, c := range []struct{ path, key, want string }{
		{"", "a", "a"},
		{"a", "b_1", "a.b_1"},
		{"a[0]", "b", "a[0].b"},
		{"sysctls", "net.core.somaxconn", `sysctls["net.core.somaxconn"]`},
		{"a", "", `a[""]`},
		{"a", "\x1b", `a["\x1b"]`},
		{"a", strings.Repeat("b", 200), `a["` + strings.Repeat("b", maxShown) + `…"]`},
	} {
		if got := memberPath(c.path, c.key); got != c.want {
			t.Errorf("memberPath(%q, %q) = %s; want %s", c.path, c.key, got, c.want)
		}
	}
}

func TestPosition(t *testing.T) {
	data := []byte("ab\nü\xffc")
	for off, want := range map[int]string{0: "line 1, column 1", 2: "line 1, column 3", 3: "line 2, column 1", 5: "line 2, column 2", 6: "line 2, column 3", 99: "line 2, column 4"} {
		if got := position(data, off); got != want {
			t.Errorf("position(%q, %d) = %s; want %s", data, off, got, want)
		}
	}
	if got := invalidUTF8(data); got != 5 {
		t.Errorf("invalidUTF8(%q) = %d; want 5", data, got)
	}
	if got := invalidUTF8([]byte("\ufffdü")); got != -1 {
		t.Errorf("invalidUTF8(U+FFFD) = %d; want -1", got)
	}
}

func TestTooDeep(t *testing.T) {
	fits := strings.Repeat("[", maxJSONDepth) + `"[[\"[[", {}` + strings.Repeat("]", maxJSONDepth)
	if got := tooDeep([]byte(fits)); got != len(fits)-maxJSONDepth-2 {
		t.Errorf("tooDeep(%s) = %d; want %d", fits, got, len(fits)-maxJSONDepth-2)
	}
	fits = strings.Replace(fits, ", {}", "", 1)
	if got := tooDeep([]byte(fits)); got != -1 {
		t.Errorf("tooDeep(%s) = %d; want -1", fits, got)
	}
}
