-- What is not final: refunds, and sales that wait to be confirmed, by event.
SELECT eventId AS event_id,
       max(eventName) AS event,
       currency,
       sum(CASE WHEN sold < 0 THEN -sold ELSE 0 END) AS refunded_tickets,
       sum(CASE WHEN sold < 0 THEN -grossSales ELSE 0 END) AS refunded_gross,
       sum(CASE WHEN isPending THEN sold ELSE 0 END) AS pending_tickets,
       sum(CASE WHEN isPending THEN grossSales ELSE 0 END) AS pending_gross
FROM see_tickets_sales
GROUP BY eventId, currency
ORDER BY refunded_gross DESC, event_id
