#!/usr/bin/perl
# A recorded trader in Perl, from docs/protocol.md alone: core Perl, no module to install.
#
# Tables: sysv_shm. Locks: none, sysv_sem, sysv_semset. It takes part in schedules and walks; faults
# and delays that wait for its steps it does not look for. Its history file is written by calls and
# not by stores: the kernel keeps what was written, so it survives kill -9 all the same. Of reading
# and writing a cell see exchange2.pl: 8 aligned bytes are copied, which nothing in Perl promises to
# be one store.
use strict;
use warnings;
use Errno;
use Fcntl;
use Socket;
use Time::HiRes ();

use constant { BUY => 1, SELL => 2, REFUSED => 1 << 16, HELD => (1 << 17) + (1 << 25) };
use constant { HEADER => 4096, RECORD => 80, IPC_NOWAIT => 04000, SEM_UNDO => 0x1000, GETVAL => 12 };

my ($finishing, $count, $balance) = (0, 0, 0);
my (%known, %free, @passed);
my $turns = $ENV{LAB_TURNS} // 0;
my @names = split ' ', $ENV{LAB_TABLE_ROWS} // '';
my @numbers = split ' ', $ENV{LAB_LOCK_NUMBERS} // '';

sub number { my ($name, $otherwise) = @_; return length($ENV{$name} // '') ? $ENV{$name} : $otherwise }
sub now { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

# ---- the report socket ------------------------------------------------------------------------

my $report = $ENV{LAB_REPORT} // die "this program is started by the lab: level: recorded\n";
socket(my $peer, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!\n";
connect($peer, pack_sockaddr_un($report)) or die "$report: $!\n";

sub speak {
    my ($message) = @_;
    # Steps that were passed without asking go before whatever is said next.
    $message = '!' . pack('C', scalar @passed) . pack('C*', @passed) . $message if @passed;
    @passed = ();
    send($peer, $message, 0);
}

sub fail {
    my ($text) = @_;
    $text =~ s/["\\\x00-\x1f]/ /g;
    speak(qq({"type": "error", "kind": "ProcessError", "message": "$text"}));
    die "$text\n";
}

sub hear { my $word = ''; until (defined recv($peer, $word, 300, 0)) { last unless $!{EINTR} } return $word }

# Stand at a step; false when the work ends before it. What it touches is said in JSON, as one text.
sub step {
    my ($name, $reads, $changes, $takes, $gives, $ready, $begins) = @_;
    return 1 unless $turns;
    my $list = sub { '[' . join(', ', map { qq("$_") } @_) . ']' };
    my $text = sprintf '["%s", %s, %s, "%s", "%s", %s, %s]', $name, $list->(@$reads),
        $list->(@$changes), $takes, $gives, ($ready ? 'true' : 'false'), ($begins ? 'true' : 'false');
    unless (exists $known{$text}) {
        $known{$text} = keys %known;
        speak("\@$text");
    }
    my $could = sub { !$ready || $ready->() ? '+' : '-' };
    my $can = $could->();
    if ($can eq '+' && $free{$known{$text}} && @passed < 255) {
        push @passed, $known{$text};
        return 1;
    }
    speak('#' . pack('v', $known{$text}) . $can);
    while ((my $word = hear()) ne 'g') {
        if ($word eq 'l' || $word eq 'f') {
            $finishing = 1 if $word eq 'f';
            speak($could->());
        }
        elsif ($word eq 's' && $begins) { return 0 }
        elsif ($word eq 's') { fail("stopped at $name, in the middle of its work") }
        else { die "leave\n" }
    }
    return 1;
}

# ---- the history: docs/history.md ---------------------------------------------------------------

sysopen(my $history, $ENV{LAB_RECORD}, O_RDWR | O_CREAT | O_EXCL, 0600) or fail("history: $!");
my $windows = int((number('LAB_CAPACITY', 1) + 255) / 256) || 1;
put(0, pack('a8 L4 a32 a32', 'LABHIST1', RECORD, HEADER, $$, $ENV{LAB_INDEX}, $ENV{LAB_NAME}, $ENV{LAB_ROLE})
        . "\0" x (HEADER - 88));
put(HEADER + $_ * 256 * RECORD, "\0" x (256 * RECORD)) for 0 .. $windows - 1;

sub put {
    my ($at, $bytes) = @_;
    sysseek($history, $at, 0) && syswrite($history, $bytes) == length $bytes or fail("history: $!");
}

sub publish { my ($what) = @_; put(88, pack('q a127 x', $what ? now() * 1e9 : 0, $what)) }

# ---- the lock and the table -----------------------------------------------------------------------

my $table = shmget(oct number('LAB_TABLE_KEY', '0x45584348'), 0, 0) // fail("shmget: $!");

sub get {
    my ($cell) = @_;
    shmread($table, my $bytes, $cell * 8, 8) or fail("shmread: $!");
    return unpack 'd', $bytes;
}

sub set { my ($cell, $value) = @_; shmwrite($table, pack('d', $value), $cell * 8, 8) or fail("shmwrite: $!") }

my $kind = number('LAB_LOCK_KIND', 'none');
fail("this program takes only a sysv_sem or a sysv_semset") if $kind !~ /^(none|sysv_sem|sysv_semset)$/;
fail('this program keeps no intent record (table.recovery)') if $ENV{LAB_TABLE_RECOVERY};
my @locks = map {
    my $prefix = "LAB_LOCK_$_";
    {
        id => $kind eq 'none' ? undef : semget(oct number("${prefix}_KEY", 0), 0, 0),
        member => number("${prefix}_ROW", 0),
        undo => number("${prefix}_UNDO", 0) ? SEM_UNDO : 0,
        what => number('LAB_LOCKS', 1) == 1 ? "the table's lock" : "the lock of $names[$_]",
        number => $numbers[$_],
    }
} 0 .. number('LAB_LOCKS', 1) - 1;

sub operate {
    my ($lock, $change, $flags) = @_;
    return semop($lock->{id}, pack('s!3', $lock->{member}, $change, $flags | $lock->{undo}));
}

# Take a lock; since when this process had to wait, or 0. Perl's semop knows no timeout, and a signal
# ends it: an alarm a second looks at the deadline.
sub take {
    my ($lock) = @_;
    return 0 if !defined $lock->{id} || operate($lock, -1, IPC_NOWAIT);
    my $asked = now();
    local $SIG{ALRM} = sub { };
    publish($lock->{what});
    until (Time::HiRes::alarm(0.1), operate($lock, -1, 0)) {
        fail("$lock->{what}: $!") unless $!{EINTR};
        fail("waited for $lock->{what}, in vain") if now() > $asked + number('LAB_WAIT', 10);
    }
    alarm 0;
    publish('');
    return $asked;
}

# ---- one trade -----------------------------------------------------------------------------------

sub trade {
    my ($code, $row, $amount, $sequence) = @_;
    my $lock = $locks[$row % @locks];
    my ($rate_cell, $stock_cell) = ($row * 3 + ($code == BUY ? 1 : 0), $row * 3 + 2);
    my ($rate_name, $stock_name) = ($names[$row] . ($code == BUY ? '.buy' : '.sell'), "$names[$row].stock");
    my @guard = defined $lock->{id} ? ($lock->{what}) : ();
    my $free = @guard ? sub { semctl($lock->{id}, $lock->{member}, GETVAL, 0) > 0 } : undef;
    my $record = pack 'd3', $code + 256 * $row, $ENV{LAB_INDEX} * 2**32 + $sequence, $amount;
    my $at = HEADER + $count++ * RECORD;
    put($at, $record . "\0" x (RECORD - length $record)); # from now on it is in flight

    unless (step('acquire', [], \@guard, "@guard", '', $free, 1)) {
        put($at, "\0" x RECORD);
        $count--;
        return -1;
    }
    my $asked = take($lock);
    my $entered = now();
    step('check', $code == BUY ? [$rate_name] : [$stock_name, $rate_name], [], '', '', undef, 0);
    my $checked = get($code == BUY ? $rate_cell : $stock_cell);
    my $allowed = $code == BUY ? $balance >= $amount * $checked : $checked >= $amount;
    my ($rate, $read, $written) = (0, 0, 0);
    if ($allowed) {
        $rate = get($rate_cell);
        $balance += $code == SELL ? $amount * $rate : -($amount * $rate);
        step('read', [$stock_name], [], '', '', undef, 0);
        $read = get($stock_cell);
        $written = $code == SELL ? $read - $amount : $read + $amount;
        step('write', [], [$stock_name], '', '', undef, 0);
        set($stock_cell, $written);
    }
    my $left = now();
    step('release', [], \@guard, '', "@guard", undef, 0);
    operate($lock, 1, IPC_NOWAIT) or fail("$lock->{what}: $!") if @guard;
    my $kind = $code + 256 * $row + ($allowed ? 0 : REFUSED) + $lock->{number} * HELD;
    put($at, pack 'd', $kind);
    put($at + 24, pack 'd7', $asked || $entered, $entered, $checked, $rate, $read, $written, $left);
    return $allowed ? 1 : 0;
}

sub work {
    my $operations = number('LAB_OPTION_OPERATIONS', 400);
    my %wanted = map { $_ => 1 } split ' ', number('LAB_OPTION_CURRENCIES', "@names");
    my @rows = grep { $wanted{$names[$_]} } 0 .. $#names;
    my ($tried, $done) = (0, 0);
    srand($ENV{LAB_SEED} % 2**32);
    $balance = number('LAB_OPTION_BALANCE', 1000);
    while (!$finishing && (!$operations || $tried < $operations)) {
        my $code = rand() < number('LAB_OPTION_SELL_SHARE', 0.5) ? SELL : BUY;
        # A fraction of its own, in multiples of 2**-30, names the trade in every later stock.
        my $amount = 1 + int(rand number('LAB_OPTION_LARGEST', 10)) + (int(rand 2**30) | 1) / 2**30;
        my $answer = trade($code, $rows[rand @rows], $amount, ++$tried);
        last if $answer < 0;
        $done += $answer;
    }
    my $text = sprintf '%.17g', $balance;
    $text .= '.0' unless $text =~ /[.e]/;
    return qq({"type": "summary", "summary": {"balance": $text, "done": $done}});
}

# ---- ready, gate, and as often as a walk wants it -------------------------------------------------

$SIG{INT} = 'IGNORE'; # the keyboard's signals are the launcher's
$SIG{TERM} = sub { $finishing = 1 };
speak('{"type": "ready"}');
my $gate = semget(oct $ENV{LAB_GATE}, 0, 0) // fail("the start gate: $!");
publish('the start gate');
until (semop($gate, pack 's!3', 0, 0, 0)) { fail("the start gate: $!") unless $!{EINTR} }
publish('');
while (1) {
    my $summary = eval { work() };
    die $@ if !defined $summary && $@ ne "leave\n";
    speak($summary // '{"type": "left"}');
    last unless $turns;
    my $word = hear();
    %free = map { $_ => 1 } unpack 'C*', substr($word . 'x', 1, length($word) - 1 || 0);
    last unless $word =~ /^a/;
    put(HEADER, "\0" x ($count * RECORD)) if $count;
    ($count, $finishing) = (0, 0);
}
