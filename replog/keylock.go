package replog

import (
	"context"
	"sync"
)

// keyLocks gives each key of each domain a lock that a context can stop waiting for.
// The zero value is ready to use.
type keyLocks struct {
	mu    sync.Mutex
	locks map[keyName]*keyLock
}

type keyName struct{ domain, key string }

type keyLock struct {
	free  chan struct{} // holds a token while nobody has the lock
	users int           // who has it or waits for it
}

// lock waits for the key's lock. unlock may be called more than once.
func (l *keyLocks) lock(ctx context.Context, domain, key string) (unlock func(), err error) {
	name := keyName{domain, key}
	l.mu.Lock()
	k := l.locks[name]
	if k == nil {
		if l.locks == nil {
			l.locks = make(map[keyName]*keyLock)
		}
		k = &keyLock{free: make(chan struct{}, 1)}
		k.free <- struct{}{}
		l.locks[name] = k
	}
	k.users++
	l.mu.Unlock()

	select {
	case <-k.free:
		return sync.OnceFunc(func() {
			k.free <- struct{}{}
			l.release(name, k)
		}), nil
	case <-ctx.Done():
		l.release(name, k)
		return nil, ctx.Err()
	}
}

func (l *keyLocks) release(name keyName, k *keyLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.locks, name)
	}
}
