package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// keepFor has the streams of what is kept keep it for d at least.
func (l *streamLog) keepFor(ctx context.Context, d time.Duration) error {
	for _, s := range l.kept {
		if err := s.raise(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// raise has the stream keep messages for d at least. All else about it stays, also
// what this version does not know.
func (s *logStream) raise(ctx context.Context, d time.Duration) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	s.keep = max(s.keep, d)
	var info struct {
		Config map[string]json.RawMessage `json:"config"`
	}
	if err := s.log.api(ctx, "STREAM.INFO."+s.stream(), struct{}{}, &info); err != nil {
		return fmt.Errorf("look at stream %s: %w", s.stream(), err)
	}
	var age time.Duration
	if err := json.Unmarshal(info.Config["max_age"], &age); err != nil {
		return fmt.Errorf("look at stream %s: %w", s.stream(), errForeign)
	}
	if age >= s.keep+logAhead || age == 0 { // 0 is for ever.
		return nil
	}
	var err error
	if info.Config["max_age"], err = json.Marshal(s.keep + logAhead); err != nil {
		return err
	}
	var done struct{}
	if err := s.log.api(ctx, "STREAM.UPDATE."+s.stream(), info.Config, &done); err != nil {
		return fmt.Errorf("change stream %s: %w", s.stream(), err)
	}
	return nil
}
