#!/bin/sh
# Make the database cluster once, give its owner the password of today, then become PostgreSQL.
# POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD_FILE say what; nothing is written but PGDATA, /run/postgresql and /tmp.
set -eu
umask 077

PGDATA=${PGDATA:-/var/lib/postgresql/data/pgdata}
: "${POSTGRES_USER:?names the owner of the database}" "${POSTGRES_PASSWORD_FILE:?names the file with the password}"
POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
known=$PGDATA.password.sha256 # of the password that the database knows

fail() {
	echo "postgres: $*" >&2
	exit 1
}

for name in "$POSTGRES_USER" "$POSTGRES_DB"; do
	case $name in
	'' | *[!a-z0-9_-]*) fail "'$name' cannot name a user or a database here: a-z, 0-9, _ and - only" ;;
	esac
done
[ -s "$POSTGRES_PASSWORD_FILE" ] || fail "there is no password in $POSTGRES_PASSWORD_FILE"

# Run SQL of standard input without a server, as the superuser and without a password.
single() {
	postgres --single -j -D "$1" -c log_statement=none -c log_min_messages=warning -c log_min_error_statement=panic "$2" >/dev/null
}

# A folder under another name until it is whole: a Pod killed in the middle begins again.
initialise() {
	new=$PGDATA.new
	rm -rf "$new"
	mkdir -p "$(dirname "$PGDATA")"
	initdb --pgdata="$new" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 \
		--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 --data-checksums
	printf '%s\n' '# Written once, when the data folder was made.' \
		'local all all     scram-sha-256' \
		'host  all all all scram-sha-256' >"$new/pg_hba.conf"
	if [ "$POSTGRES_DB" != postgres ]; then
		printf 'CREATE DATABASE "%s" OWNER "%s";\n' "$POSTGRES_DB" "$POSTGRES_USER" | single "$new" postgres
	fi
	sync
	mv "$new" "$PGDATA"
	sync
}

# The Secret may have been rotated since the folder was made. Doubled quotes keep any password a string.
change_password() {
	# A server that was killed leaves its lock. It was process 1, as this shell is now: it cannot be running.
	if [ $$ = 1 ] && [ "$(head -n 1 "$PGDATA/postmaster.pid" 2>/dev/null)" = 1 ]; then
		rm -f "$PGDATA/postmaster.pid"
	fi
	printf "ALTER ROLE \"%s\" PASSWORD '%s';\n" "$POSTGRES_USER" "$(head -n 1 "$POSTGRES_PASSWORD_FILE" | sed "s/'/''/g")" |
		single "$PGDATA" postgres
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
	if [ -d "$PGDATA" ]; then
		rmdir "$PGDATA" 2>/dev/null || fail "$PGDATA holds something that is not a PostgreSQL data folder; look at it, then empty it"
	fi
	rm -f "$known"
	initialise
elif ! sha256sum -c -s "$known" 2>/dev/null; then
	change_password
fi
sha256sum "$POSTGRES_PASSWORD_FILE" >"$known"

exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql "$@"
