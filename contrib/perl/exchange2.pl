#!/usr/bin/perl
# Currency exchange - 2 in Perl: attaches the table that is there and trades lines of its input.
#
#     echo "buy EURO 10" | exchange2.pl [KEY]
#
# Perl's own shmread and shmwrite copy bytes: each attaches the segment, copies, and detaches it. To
# copy 8 aligned bytes is one store with the C library of Linux on x86-64 and 64-bit ARM, but nothing
# in Perl promises it: a reader elsewhere could see half a number.
#
# A lock that the lab names (LAB_LOCK_KIND=sysv_sem) is taken around each trade; without one, or
# without the lab, it trades as the lecture does.
use strict;
use warnings;

use constant { FIELDS => 3, DOUBLE => 8, SEM_UNDO => 0x1000, EXCHKEY => 0x45584348 };
my @names = qw(DOLLAR EURO STERLIN POUND);
my $balance = 1000;

my $key = shift // $ENV{LAB_TABLE_KEY} // EXCHKEY;
$key = oct $key if $key =~ /^0x/;
my $table = shmget($key, 4 * FIELDS * DOUBLE, 0) // die "shmget: $!\n";

my $lock;
if (($ENV{LAB_LOCK_KIND} // 'none') eq 'sysv_sem') {
    $lock = semget(oct $ENV{LAB_LOCK_0_KEY}, 0, 0) // die "semget: $!\n";
}
elsif (($ENV{LAB_LOCK_KIND} // 'none') ne 'none') {
    die "this program takes only a sysv_sem\n";
}

sub get {
    my ($row, $field) = @_;
    shmread($table, my $bytes, ($row * FIELDS + $field) * DOUBLE, DOUBLE) or die "shmread: $!\n";
    return unpack 'd', $bytes;
}

sub set {
    my ($row, $field, $value) = @_;
    shmwrite($table, pack('d', $value), ($row * FIELDS + $field) * DOUBLE, DOUBLE)
        or die "shmwrite: $!\n";
}

sub guard {
    my ($change) = @_;
    my $flags = $ENV{LAB_LOCK_0_UNDO} ? SEM_UNDO : 0;
    return unless defined $lock;
    until (semop($lock, pack('s!3', 0, $change, $flags))) {
        die "semop: $!\n" unless $!{EINTR};
    }
}

sub trade {
    my ($what, $row, $amount) = @_;
    if ($what eq 'buy') {
        return 0 if $balance < $amount * get($row, 1);
        $balance -= $amount * get($row, 1);
        set($row, 2, get($row, 2) + $amount);
    }
    else {
        return 0 if get($row, 2) < $amount;
        $balance += $amount * get($row, 0);
        set($row, 2, get($row, 2) - $amount);
    }
    return 1;
}

my $bad = 0;
while (my $line = <STDIN>) {
    my ($what, $name, $amount) = $line =~ /^\s*(buy|sell)\s+([A-Z]+)\s+([0-9]+)\s*$/;
    my ($row) = grep { defined $name && $names[$_] eq $name } 0 .. 3;
    if (!defined $row || !$amount) {
        warn "not an order: write buy EURO 10, or sell POUND 100\n";
        $bad = 1;
        next;
    }
    guard(-1);
    my $done = trade($what, $row, $amount);
    guard(+1);
    print "refused\n" unless $done;
    # 15 digits where they are enough to read the same number back, else 17.
    my $text = sprintf '%.15g', $balance;
    print 'balance ', $text == $balance ? $text : sprintf('%.17g', $balance), "\n";
}
exit $bad;
