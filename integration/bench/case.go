package main

import (
	"fmt"
	"runtime"
	"time"
)

// testCase is something that all subjects do.
type testCase struct {
	name  string // short, for -cases
	about string // what is done
	// slow divides the number of rounds.
	slow int
	// setup sets the stage. What it returns with an error is torn down too.
	setup func(*lab) (stage, error)
}

// stage is a case that is set up.
type stage struct {
	subjects []subject
	done     func() error // takes the stage down; nil if there is nothing to do
}

// subject is one way to do what the case is about. once does it one time, and
// leaves all as it found it.
type subject struct {
	name string
	once func() ([]lap, error)
}

// lap is one measured stretch of a subject's work.
type lap struct {
	metric  string // what of the case: "up", "down"; "" where there is but one
	subject string // instead of the subject's name, if not empty
	usage
}

// The floor's names in the results: as a process of its own, and its work alone.
const (
	floorProcess = "floor"
	floorWork    = "floor, work alone"
)

// floorLaps are the laps of the floor's work.
func floorLaps(metric string, process, work usage) []lap {
	return []lap{{metric: metric, usage: process}, {metric: metric, subject: floorWork, usage: work}}
}

// single makes a subject of one command, measured whole.
func (l *lab) single(name string, cmd func() command) subject {
	return subject{name, func() ([]lap, error) {
		u, err := l.inTurn(cmd())
		return []lap{{usage: u}}, err
	}}
}

// runCase measures a case. A peer that fails is skipped, and said why; podrt
// and the floor may not fail.
func (l *lab) runCase(c testCase, rounds int) (_ []row, skipped []string, retErr error) {
	st, err := c.setup(l)
	if st.done != nil {
		defer func() {
			if err := st.done(); err != nil && retErr == nil {
				retErr = fmt.Errorf("clean up: %w", err)
			}
		}()
	}
	if err != nil {
		return nil, nil, err
	}
	rounds = max(min(rounds, 3), rounds/max(1, c.slow))

	// Once without a record: caches are warm and everything works, or does not.
	var subjects []subject
	for _, s := range st.subjects {
		if _, err := s.once(); err != nil {
			if t := l.tool(s.name); t != nil && t.podrt || s.name == floorProcess {
				return nil, nil, fmt.Errorf("%s: %w", s.name, err)
			}
			skipped = append(skipped, fmt.Sprintf("%s: %v", s.name, err))
			continue
		}
		subjects = append(subjects, s)
	}
	table := newTable(c.name)
	for i := range rounds {
		for j := range subjects {
			// Each comes first, last and after every other one.
			s := subjects[(i+j)%len(subjects)]
			if i/len(subjects)%2 == 1 {
				s = subjects[(i+len(subjects)-j)%len(subjects)]
			}
			runtime.GC() // not while a subject runs
			time.Sleep(l.pause)
			laps, err := s.once()
			if err != nil {
				return nil, nil, fmt.Errorf("%s, round %d: %w", s.name, i+1, err)
			}
			for _, lap := range laps {
				table.record(s.name, lap)
			}
		}
	}
	return table.rows(subjects), skipped, nil
}
