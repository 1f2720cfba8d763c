package cgroups

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

// count gives every number below v, pointers' too, the next value; identities
// stay.
func count(v reflect.Value, next *uint64) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		count(v.Elem(), next)
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Major" && name != "Minor" {
				count(v.Field(i), next)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			v.Index(i).FieldByName("Minor").SetUint(uint64(i))
			count(v.Index(i), next)
		}
	case reflect.Uint64:
		*next++
		v.SetUint(*next)
	case reflect.Float64:
		v.SetFloat(1)
	}
}

// TestSum adds something to itself: each number is doubled, but for those that
// cannot be added, which are left out. A field that is new is one or the other.
func TestSum(t *testing.T) {
	var s Stats
	var n uint64
	count(reflect.ValueOf(&s).Elem(), &n)
	sum := Sum([]*Stats{&s, &s, {}})
	left := map[string]bool{
		".Memory.Peak": true, ".Memory.Limit": true, ".Memory.SwapLimit": true, ".Memory.EventsLocal": true,
		".Pids.Peak": true, ".Pids.Limit": true, ".Pressure": true,
	}
	var compare func(path string, got, one reflect.Value)
	compare = func(path string, got, one reflect.Value) {
		if left[path] {
			if !got.IsZero() {
				t.Errorf("Sum%s is set; want it left out", path)
			}
			return
		}
		switch got.Kind() {
		case reflect.Pointer:
			if got.IsNil() {
				t.Errorf("Sum%s = nil; want a sum", path)
				return
			}
			compare(path, got.Elem(), one.Elem())
		case reflect.Struct:
			for i := range got.NumField() {
				compare(path+"."+got.Type().Field(i).Name, got.Field(i), one.Field(i))
			}
		case reflect.Slice:
			if got.Len() != one.Len() {
				t.Fatalf("Sum%s has %d elements; want %d", path, got.Len(), one.Len())
			}
			for i := range got.Len() {
				compare(fmt.Sprintf("%s[%d]", path, i), got.Index(i), one.Index(i))
			}
		case reflect.Uint64:
			if got.Uint() != 2*one.Uint() {
				t.Errorf("Sum%s = %d; want %d", path, got.Uint(), 2*one.Uint())
			}
		}
	}
	compare("", reflect.ValueOf(*sum), reflect.ValueOf(s))
}

// TestSumOfNone: what no cgroup has, the sum does not have.
func TestSumOfNone(t *testing.T) {
	for _, all := range [][]*Stats{nil, {{}}} {
		if b, err := json.Marshal(Sum(all)); err != nil || string(b) != string(must(json.Marshal(&Stats{}))) {
			t.Errorf("Sum of nothing = %s, %v", b, err)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
