package alarm_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher/internal/alarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A bell notes when it rings.
type bell struct {
	alarm.Alarm
	begun time.Time
	do    func()

	mu   sync.Mutex
	rung []time.Duration // Guarded by mu.
}

func (b *bell) Ring() {
	b.mu.Lock()
	b.rung = append(b.rung, time.Since(b.begun))
	b.mu.Unlock()
	if b.do != nil {
		b.do()
	}
}

func newBell() *bell { return &bell{begun: time.Now()} }

// rings fails the test unless the bell rang at these times, and at no other.
func (b *bell) rings(t *testing.T, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.rung, want) {
		t.Errorf("got rings after %v, want %v", b.rung, want)
	}
}

func TestAlarmRingsOnce(t *testing.T) {
	var c alarm.Clock
	for range 2 { // In another time, too: nothing is left of the first.
		synctest.Test(t, func(t *testing.T) {
			a, b, zero, never := newBell(), newBell(), newBell(), newBell()
			c.Set(&a.Alarm, a, 3*time.Second)
			c.Set(&b.Alarm, b, time.Second)
			c.Set(&zero.Alarm, zero, -time.Second)
			c.Set(&never.Alarm, never, math.MaxInt64)
			time.Sleep(time.Hour)
			a.rings(t, 3*time.Second)
			b.rings(t, time.Second)
			zero.rings(t, 0)
			never.rings(t)
			c.Stop(&never.Alarm)
		})
	}
}

func TestAlarmIsSetAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c alarm.Clock
		sooner, later, stopped, again := newBell(), newBell(), newBell(), newBell()
		for _, b := range []*bell{sooner, later, stopped} {
			c.Set(&b.Alarm, b, 2*time.Second)
		}
		c.Set(&again.Alarm, again, time.Second)
		again.do = func() {
			if time.Since(again.begun) < 5*time.Second {
				c.Set(&again.Alarm, again, 2*time.Second)
			}
		}
		c.Set(&sooner.Alarm, sooner, time.Second)
		c.Set(&later.Alarm, later, 4*time.Second)
		c.Stop(&stopped.Alarm)
		c.Stop(&stopped.Alarm)
		c.Stop(&newBell().Alarm)
		time.Sleep(time.Minute)
		sooner.rings(t, time.Second)
		later.rings(t, 4*time.Second)
		stopped.rings(t)
		again.rings(t, time.Second, 3*time.Second, 5*time.Second)
	})
}

// One that takes long does not hold up others, also of the same time.
func TestAlarmWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c alarm.Clock
		var bells []*bell
		for i := range 6 {
			b := newBell()
			b.do = func() { time.Sleep(time.Hour) }
			c.Set(&b.Alarm, b, time.Duration(1+i/3)*time.Second)
			bells = append(bells, b)
		}
		time.Sleep(2 * time.Second)
		for i, b := range bells {
			b.rings(t, time.Duration(1+i/3)*time.Second)
		}
		time.Sleep(time.Hour)
	})
}

// Many that are set, set anew and stopped by chance ring when they are to.
func TestAlarmMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c alarm.Clock
		random := rand.New(rand.NewPCG(1, 2))
		bells, want := make([]*bell, 200), make([]time.Duration, 200)
		begun := time.Now()
		for i := range bells {
			bells[i] = newBell()
		}
		for range 2000 {
			i := random.IntN(len(bells))
			if at := want[i]; at > 0 && at <= time.Since(begun) {
				continue // It has rung.
			}
			if want[i] = 0; random.IntN(3) == 0 {
				c.Stop(&bells[i].Alarm)
			} else {
				after := time.Duration(1+random.IntN(5000)) * time.Millisecond
				c.Set(&bells[i].Alarm, bells[i], after)
				want[i] = time.Since(begun) + after
			}
			time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for i, b := range bells {
			if want[i] == 0 {
				b.rings(t)
			} else {
				b.rings(t, want[i])
			}
		}
	})
}
