package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/observe"
)

// An appAnswer is an app of the hub, as the API shows it.
type appAnswer struct {
	ID         string    `json:"id"`
	Name       string    `json:"name,omitempty"`
	Source     string    `json:"source"` // "api" or "configuration".
	Created    time.Time `json:"created,omitzero"`
	Disabled   bool      `json:"disabled"`
	Limits     any       `json:"limits"`
	Namespaces any       `json:"namespaces"`
	Keys       []appKey  `json:"keys,omitempty"` // Of one app that was asked for.
	Revision   uint64    `json:"revision,omitempty"`
}

func (a *hubApp) answer() appAnswer {
	shown := appAnswer{ID: a.ID, Source: "configuration", Limits: config.ToJSON(a.limits), Namespaces: config.ToJSON(a.namespaces)}
	if r := a.record; r != nil {
		shown.Name, shown.Source, shown.Created, shown.Disabled, shown.Revision = r.Name, "api", r.Created, r.Disabled, a.revision
	}
	return shown
}

// tagged answers with one app and its ETag, by which a change can be bound to it.
func (a *hubApp) tagged(w http.ResponseWriter, status int) answer {
	if a.revision > 0 {
		w.Header().Set("ETag", `"`+strconv.FormatUint(a.revision, 10)+`"`)
	}
	shown := a.answer()
	shown.Keys = a.keys()
	return answer{status, shown}
}

// hubApps returns the apps, or the caller's error where there is no hub.
func (a *api) hubApps() (*hubApps, error) {
	if a.hub == nil {
		return nil, denyf(http.StatusNotFound, "there are no apps: the configuration has no hub")
	}
	return &a.hub.apps, nil
}

// app returns an app, or the caller's error where there is none.
func (a *api) app(id string) (*hubApp, error) {
	h, err := a.hubApps()
	if err != nil {
		return nil, err
	}
	if one := h.find(id); one != nil {
		return one, nil
	}
	return nil, errNoApp
}

var errNoApp = denyf(http.StatusNotFound, "there is no app with this id")

// listApps lists the apps by id, without their keys.
func (a *api) listApps(_ http.ResponseWriter, r *http.Request, _ call, _ caller) (answer, error) {
	after, limit, err := readPage(r.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	h, err := a.hubApps()
	if err != nil {
		return answer{}, err
	}
	page := struct {
		Apps []appAnswer `json:"apps"`
		Next string      `json:"next,omitempty"`
	}{Apps: []appAnswer{}}
	for _, one := range h.list() {
		if one.ID <= after {
			continue
		}
		if len(page.Apps) == limit {
			page.Next = page.Apps[limit-1].ID
			break
		}
		page.Apps = append(page.Apps, one.answer())
	}
	return answer{http.StatusOK, page}, nil
}

// readPage reads the parameters of a list.
func readPage(query string) (after string, limit int, err error) {
	given, err := url.ParseQuery(query)
	if err != nil {
		return "", 0, badCall("the query is malformed")
	}
	limit = pageSize
	for name, values := range given {
		switch {
		case name != "after" && name != "limit":
			return "", 0, badCall("unknown parameter %.64q; there are limit, after", name)
		case len(values) > 1 || values[0] == "":
			return "", 0, badCall("the parameter %s must be there once, and not empty", name)
		case name == "after":
			after = values[0]
			continue
		}
		if limit, err = strconv.Atoi(values[0]); err != nil || limit < 1 || limit > maxPageSize {
			return "", 0, badCall("the parameter limit must be from 1 to %d", maxPageSize)
		}
	}
	return after, limit, nil
}

// showApp shows one app.
func (a *api) showApp(w http.ResponseWriter, r *http.Request, c call, _ caller) (answer, error) {
	if r.URL.RawQuery != "" {
		return answer{}, badCall("this call has no parameters")
	}
	one, err := a.app(c.id)
	if err != nil {
		return answer{}, err
	}
	return one.tagged(w, http.StatusOK), nil
}

// createApp makes an app without keys.
func (a *api) createApp(w http.ResponseWriter, r *http.Request, _ call, by caller) (answer, error) {
	m, err := readMembers(w, r, "id", "name", "disabled", "limits", "namespaces")
	if err != nil {
		return answer{}, err
	}
	h, err := a.hubApps()
	if err != nil {
		return answer{}, err
	}
	id, err := m.hubID("id")
	if err != nil {
		return answer{}, err
	}
	switch taken := h.find(id); {
	case id == onlyAppID:
		return answer{}, denyf(http.StatusConflict, "usher is the app that there is where the configuration names none: choose another id")
	case taken != nil && taken.record == nil:
		return answer{}, denyf(http.StatusConflict, "the configuration has an app with this id, at hub.apps.%s: choose another", id)
	case h.count() >= engine.MaxApps:
		return answer{}, denyf(http.StatusConflict, "there are %d apps, which is the bound: remove some", engine.MaxApps)
	}
	record := &appRecord{V: appRecordVersion, Created: time.Now().UTC().Truncate(time.Microsecond)}
	made, err := m.changeApp(id, record)
	if err != nil {
		return answer{}, err
	}
	text, err := record.encode()
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	if made.revision, err = h.stored.Create(ctx, id, text); err != nil {
		return answer{}, asAppDenial(err)
	}
	h.awaitRevision(ctx, made)
	a.log.Info("app created", "app", id, "name", record.Name, "key_id", by.key.ID)
	return made.tagged(w, http.StatusCreated), nil
}

// hubID returns a member that is the id of an app or a key: one that is made where
// there is none.
func (m members) hubID(name string) (string, error) {
	id, err := m.text(name)
	switch {
	case err != nil:
		return "", err
	case id == "":
		return apps.NewID(), nil
	case !apps.IsID(id):
		return "", badCall("the member %s must have 1 to 64 letters, digits, - and _", name)
	case observe.Redact(id) != id: // It is shown and logged.
		return "", badCall("the member %s looks like a credential", name)
	}
	return id, nil
}

// changeApp changes a record as the members say, and returns what it makes of the
// app.
func (m members) changeApp(id string, record *appRecord) (*hubApp, error) {
	var errs [4]error
	record.Name, errs[0] = m.title("name", record.Name)
	record.Disabled, errs[1] = m.truth("disabled", record.Disabled)
	record.Limits, errs[2] = m.merged("limits", record.Limits, 1)
	record.Namespaces, errs[3] = m.merged("namespaces", record.Namespaces, 2)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	made, err := record.app(id)
	if err != nil {
		return nil, badCall("%v", err)
	}
	return made, nil
}

// changeApp changes what the body names of an app.
func (a *api) changeApp(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	m, err := readMembers(w, r, "name", "disabled", "limits", "namespaces")
	if err != nil {
		return answer{}, err
	}
	changed, err := a.change(r, c.id, func(record *appRecord) (*hubApp, error) { return m.changeApp(c.id, record) })
	if err != nil {
		return answer{}, err
	}
	a.log.Info("app changed", "app", c.id, "name", changed.record.Name, "disabled", changed.record.Disabled, "key_id", by.key.ID)
	return changed.tagged(w, http.StatusOK), nil
}

// change changes the record of an app by f, which may be called again where another
// operator is faster, and returns the app as it is then.
func (a *api) change(r *http.Request, id string, f func(*appRecord) (*hubApp, error)) (*hubApp, error) {
	h, match, err := a.changeable(r, id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	var changed *hubApp
	revision, err := h.stored.Change(ctx, id, match, func(text []byte) ([]byte, error) {
		record, err := decodeApp(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", engine.ErrBadApp, err)
		}
		if changed, err = f(record); err != nil {
			return nil, err
		}
		return record.encode()
	})
	if err != nil {
		return nil, asAppDenial(err)
	}
	changed.revision = revision
	h.awaitRevision(ctx, changed)
	return changed, nil
}

// changeable refuses a change of what the configuration has, and returns which
// revision of the app the caller means, or 0.
func (a *api) changeable(r *http.Request, id string) (h *hubApps, match uint64, err error) {
	if h, err = a.hubApps(); err != nil {
		return nil, 0, err
	}
	if one := h.find(id); one != nil && one.record == nil {
		if id == onlyAppID {
			return nil, 0, denyf(http.StatusConflict, "this app is there because the configuration names none: name apps at hub.apps, or make others here")
		}
		return nil, 0, denyf(http.StatusConflict, "this app is in the configuration, at hub.apps.%s: change it there, and reload", id)
	}
	match, err = ifMatch(r.Header)
	return h, match, err
}

// ifMatch returns the revision that If-Match asks for (RFC 9110 §13.1.1), or 0.
func ifMatch(header http.Header) (uint64, error) {
	given := header["If-Match"]
	if len(given) == 0 || len(given) == 1 && given[0] == "*" {
		return 0, nil // A change is of what there is in any case.
	}
	text, ok := strings.CutPrefix(given[0], `"`)
	text, quoted := strings.CutSuffix(text, `"`)
	revision, err := strconv.ParseUint(text, 10, 64)
	if len(given) > 1 || !ok || !quoted || err != nil || revision == 0 {
		return 0, badCall("If-Match must be the one ETag of the app, in quotes")
	}
	return revision, nil
}

// removeApp removes an app with its keys.
func (a *api) removeApp(_ http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	h, match, err := a.changeable(r, c.id)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	revision, err := h.stored.Remove(ctx, c.id, match)
	if err != nil {
		return answer{}, asAppDenial(err)
	}
	h.await(ctx, c.id, func(now *hubApp) bool { return now == nil || now.revision > revision })
	a.log.Info("app removed", "app", c.id, "key_id", by.key.ID)
	return answer{status: http.StatusNoContent}, nil
}

// awaitRevision waits until this node has heard of a change.
func (h *hubApps) awaitRevision(ctx context.Context, changed *hubApp) {
	h.await(ctx, changed.ID, func(now *hubApp) bool { return now != nil && now.revision >= changed.revision })
}

// asAppDenial is the caller's error for one of the engine's.
func asAppDenial(err error) error {
	for _, known := range []struct {
		err    error
		status int
		detail string
	}{
		{engine.ErrNoApp, http.StatusNotFound, errNoApp.Error()},
		{engine.ErrAppExists, http.StatusConflict, "there is an app with this id: choose another, or change that one"},
		{engine.ErrAppChanged, http.StatusPreconditionFailed, "the app was changed since: read it again, and decide again"},
		{engine.ErrLongApp, http.StatusConflict, "the app would have more than it can hold: remove keys or namespaces, or shorten capabilities"},
		{engine.ErrBadApp, http.StatusConflict, "the app cannot be read, and is refused: the log says why. Remove it, and make it anew"},
	} {
		if errors.Is(err, known.err) {
			return denyf(known.status, "%s", known.detail)
		}
	}
	return err
}
