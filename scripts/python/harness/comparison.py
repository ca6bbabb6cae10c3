"""The stream against the archive, record by record."""

from collections import defaultdict
from dataclasses import dataclass, field

from harness.identity import derived_uuid, object_key

SHOWN = 50
# Characters of a text in a row.
LONGEST_TEXT = 2048


@dataclass
class Findings:
    """Lines that say what is wrong, by kind; all must be empty."""

    missing: list = field(default_factory=list)
    twice: list = field(default_factory=list)
    different: list = field(default_factory=list)
    not_in_stream: list = field(default_factory=list)
    without_object: list = field(default_factory=list)
    orphans: list = field(default_factory=list)
    wrong_counts: list = field(default_factory=list)
    # Gaps over offsets that are archived.
    false_gaps: list = field(default_factory=list)

    def counts(self):
        return {kind: len(lines) for kind, lines in vars(self).items()}

    def lines(self):
        for kind, lines in vars(self).items():
            yield from (f"{kind}: {line}" for line in lines[:SHOWN])
            if len(lines) > SHOWN:
                yield f"{kind}: … and {len(lines) - SHOWN} more"


def storable(texts):
    """PostgreSQL's text holds every character but U+0000, for which the rows have U+FFFD; of a longer text the
    rows have the beginning."""
    return {name: text[:LONGEST_TEXT].replace("\0", "\ufffd") for name, text in texts.items()}


class Comparison:
    """`compacted` has (topic, digest) of what was sent to a topic of which Kafka removes records: the archive
    may have more of that than Kafka still has. `acknowledged` has (topic, partition, offset) of records that
    retention may have taken: each is archived, or a gap says that it was lost."""

    def __init__(self, records, rows, retries, compacted, gaps=(), acknowledged=()):
        self.findings = Findings()
        self.gaps = gaps
        self.acknowledged = acknowledged
        # Records that are missing and that a gap tells.
        self.lost_and_recorded = 0
        self.records = {record.place: record for record in records}
        self.retries = {retry.place: retry for retry in retries}
        self.rows = rows
        self.compacted = compacted
        self.compacted_away = 0
        self.compacted_orphans = 0
        self._rows_at = defaultdict(list)
        for row in rows:
            self._rows_at[row.place].append(row)
        self._row_of = {row.uuid: row for row in rows}

    def compare_catalogue(self):
        """Each record has one row, or is remembered as a retry, or is in a recorded gap; each row has its
        record."""
        archived = {place[:3] for place in [*self._rows_at, *self.retries]}
        for gap in self.gaps:
            inside = [at for at in range(gap.start, gap.end) if (gap.topic, gap.partition, at) in archived]
            if inside:
                self.findings.false_gaps.append(f"{gap}, of which {len(inside)} are archived, {inside[0]} first")
        there = {place[:3] for place in self.records}
        for place in sorted(self.acknowledged - there - archived if self.acknowledged else ()):
            self._miss(place, f"{place}, which retention took")
        for record in self.records.values():
            self._find(record)
        for row in self.rows:
            if row.place not in self.records:
                self._explain(row)
        for place, retry in self.retries.items():
            if place not in self.records and retry.topic not in {topic for topic, _ in self.compacted}:
                self.findings.not_in_stream.append(f"retry of {retry.uuid} at {place}")

    def compare_object(self, row, content):
        """`content` is what harness.document told of the row's object."""
        if content is None:
            self.findings.without_object.append(f"{row.uuid} at {row.place}: {row.key}")
            return
        differences = list(content.problems)
        if content.place is not None:
            differences += self._differences(row, content)
        for difference in differences:
            self.findings.different.append(f"{row.uuid} at {row.place}: {difference}")

    def compare_keys(self, keys, content_of):
        """Every object has its row. `content_of(key)` is what harness.document tells of an object.

        Where a worker was killed between object and row, the record comes again and the object gets its row;
        not so when compaction took the record away meanwhile. The archive promises no more than that."""
        for key in sorted(keys - {row.key for row in self.rows}):
            content = content_of(key)
            place = content.place
            if place and place not in self.records and (place[0], content.digest) in self.compacted:
                self.compacted_orphans += 1
            else:
                self.findings.orphans.append(key)

    def _find(self, record):
        rows, retry = self._rows_at.get(record.place, []), self.retries.get(record.place)
        if len(rows) + (retry is not None) > 1:
            found = [str(row.uuid) for row in rows] + (["a retry"] if retry else [])
            self.findings.twice.append(f"{record}: {', '.join(found)}")
        elif rows:
            self._check_uuid(record, rows[0])
        elif retry:
            self._check_retry(record, retry)
        else:
            self._miss(record.place, f"{record}, {record.size} bytes, client UUID {record.client_uuid}")

    def _miss(self, place, line):
        """Missing is only what no gap tells."""
        topic, partition, offset = place[:3]
        if any((gap.topic, gap.partition) == (topic, partition) and gap.start <= offset < gap.end for gap in self.gaps):
            self.lost_and_recorded += 1
        else:
            self.findings.missing.append(line)

    def _check_retry(self, record, retry):
        """A retry is one only of the same message: same client UUID, topic and content."""
        owner = self._row_of.get(retry.uuid)
        repeats = owner and (owner.topic, owner.digest) == (record.topic, record.digest)
        if not repeats or retry.uuid != record.client_uuid or retry.timestamp_type != record.timestamp_type:
            self.findings.different.append(f"{record}: it is no retry of {retry.uuid}, and recorded as one")

    def _check_uuid(self, record, row):
        """The first of its possible UUIDs that no other message has."""
        possible = self._possible_uuids(record)
        for candidate in possible:
            if candidate == row.uuid:
                return
            owner = self._row_of.get(candidate)
            if owner is None:
                self.findings.different.append(f"{record}: {row.uuid} although {candidate} is nobody's")
                return
            if candidate == record.client_uuid and (owner.topic, owner.digest) == (record.topic, record.digest):
                self.findings.twice.append(f"{record}: {row.uuid}, a retry of {candidate}")
                return
        self.findings.different.append(f"{record}: {row.uuid} is none of its UUIDs")

    @staticmethod
    def _possible_uuids(record):
        if record.client_uuid:
            yield record.client_uuid
        for attempt in range(10):
            yield derived_uuid(*record.place, record.digest, attempt)

    def _explain(self, row):
        if (row.topic, row.digest) in self.compacted:
            self.compacted_away += 1
        else:
            self.findings.not_in_stream.append(f"{row.uuid} at {row.place}")

    def _differences(self, row, content):
        record = self.records.get(row.place)
        asked = record.client_uuid if record else content.requested_uuid or row.uuid
        pairs = {
            "place": (row.place, content.place),
            "size": (row.size, content.size),
            "CRC-32 of the object": (row.crc32, content.crc32),
            "CRC-32 of the value": (row.message_crc32, content.message_crc32),
            "UUID": (row.uuid, content.uuid),
            "is_client_uuid in the object": (row.is_client_uuid, content.is_client_uuid),
            "timestamp type": (row.timestamp_type, content.timestamp_type),
            "content digest": (row.digest, content.digest),
            "texts": ({name: getattr(row, name) for name in content.texts}, storable(content.texts)),
            "media type": (row.media_type, content.media_type),
            "public": (row.public, content.public),
            "direct_upload": (row.direct_upload, content.direct_upload),
            "retracted": (row.retracted, False),
            "key": (row.key, object_key(row.topic, row.timestamp, row.uuid)),
        }
        if record:
            pairs |= {
                "content in Kafka": (content.digest, record.digest),
                "timestamp type in Kafka": (content.timestamp_type, record.timestamp_type),
                "is_client_uuid": (row.is_client_uuid, row.uuid == asked),
                "UUID that was asked for": (
                    content.requested_uuid,
                    asked if asked and asked != row.uuid else None,
                ),
            }
        return [f"{name}: {left!r} against {right!r}" for name, (left, right) in pairs.items() if left != right]
