package image

import (
	"encoding/json"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestChange(t *testing.T) {
	for _, tt := range []struct{ instruction, want string }{
		{`CMD ["a", "b c"]`, `{"Cmd":["a","b c"]}`},
		{`CMD a "b"`, `{"Cmd":["/bin/sh","-c","a \"b\""]}`},
		{`cmd []`, `{}`},
		{`ENTRYPOINT ["/x"]`, `{"Entrypoint":["/x"]}`},
		{`ENV A=b`, `{"Env":["A=b"]}`},
		{`ENV A="b c" D='e "f' G=h\ i J=`, `{"Env":["A=b c","D=e \"f","G=h i","J="]}`},
		{`ENV A b  c`, `{"Env":["A=b  c"]}`},
		{`USER nobody:users`, `{"User":"nobody:users"}`},
		{`WORKDIR /a/../b/`, `{"WorkingDir":"/b"}`},
		{`WORKDIR b`, `{"WorkingDir":"/b"}`},
		{`LABEL a.b=c "d e"=f`, `{"Labels":{"a.b":"c","d e":"f"}}`},
		{`STOPSIGNAL SIGQUIT`, `{"StopSignal":"SIGQUIT"}`},
		{`EXPOSE 80 53/udp 7-8/tcp`, `{"ExposedPorts":{"53/udp":{},"7/tcp":{},"8/tcp":{},"80/tcp":{}}}`},
		{`VOLUME /a /b`, `{"Volumes":{"/a":{},"/b":{}}}`},
		{`VOLUME ["/a b"]`, `{"Volumes":{"/a b":{}}}`},
	} {
		var c v1.Config
		if err := change(&c, tt.instruction); err != nil {
			t.Errorf("change(%q): %v", tt.instruction, err)
			continue
		}
		if got, err := json.Marshal(c); err != nil || string(got) != tt.want {
			t.Errorf("change(%q) makes %s, %v; want %s", tt.instruction, got, err, tt.want)
		}
	}
	c := v1.Config{Env: []string{"A=1", "B=2"}, WorkingDir: "/a"}
	for _, instruction := range []string{"ENV A=3", "WORKDIR b"} {
		if err := change(&c, instruction); err != nil {
			t.Error(err)
		}
	}
	if got, err := json.Marshal(c); err != nil || string(got) != `{"Env":["B=2","A=3"],"WorkingDir":"/a/b"}` {
		t.Errorf("two changes make %s, %v", got, err)
	}
	for _, tt := range []struct{ instruction, want string }{
		{"", "has no argument"},
		{"CMD", "has no argument"},
		{"RUN true", "is none of CMD"},
		{`CMD ["a"`, "is no JSON array"},
		{`ENTRYPOINT [1]`, "is no JSON array"},
		{"ENV A", `"A" has no value`},
		{"ENV A=b c", `"c" is not KEY=VALUE`},
		{`ENV A="b`, "is not closed"},
		{"ENV =b", "is not KEY=VALUE"},
		{"EXPOSE 0", "must be 1 to 65535"},
		{"EXPOSE 70000", "must be 1 to 65535"},
		{"EXPOSE 9-8", "must be 1 to 65535"},
		{"EXPOSE 80/icmp", "protocol must be"},
		{"VOLUME a", "must be an absolute path"},
	} {
		wantError(t, tt.instruction, change(new(v1.Config), tt.instruction), tt.want)
	}
}
